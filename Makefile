# SPDX-License-Identifier: Apache-2.0
# make           build/mod_etag_version.so and build/etag-version, the command line tool
# make demo      set everything up and show the main job (ONCE=1: print the story and exit)
# make demo-django  examples/django: Redis, Django and httpd, until Ctrl-C (ONCE=1: try it and exit)
# make check     set everything up and pass all tests; make check-long: matrices, storms, sanitizers
# make install   the module and its header, through apxs, and the tool (DESTDIR is honoured)
# make bench     instructions per request, and requests per second beside a static 304; make bench-systems: what a
#                revalidation costs an application, and the module in front of it
# make fuzz      each fuzz target for FUZZ_SECONDS (60); make format; make clean
# DEPS=skip      do not install missing packages

ifeq ($(origin CC),default)
CC := gcc
endif
APXS    ?= apxs
PYTHON  ?= /usr/bin/python3
BUILD   ?= build
WERROR  ?=
SANITIZE ?=
OPT     ?= -O2 -g

MODULE   := $(BUILD)/mod_etag_version.so
TOOL     := $(BUILD)/etag-version
DEMO_MODULE := $(BUILD)/mod_etag_version_demo.so
BENCH_MODULE := $(BUILD)/mod_const304.so

CORE_SRC  := $(sort $(wildcard src/core/*.c))
STORE_SRC := $(sort $(wildcard src/store/*.c))
GLUE_SRC  := mod_etag_version.c $(sort $(wildcard src/httpd/*.c))
CLI_SRC   := $(sort $(wildcard src/cli/*.c))
UNIT_SRC  := $(sort $(wildcard tests/unit/test_*.c))
FUZZ_SRC  := $(sort $(wildcard tests/fuzz/fuzz_*.c))

CORE_OBJ  := $(CORE_SRC:%.c=$(BUILD)/obj/%.o)
STORE_OBJ := $(STORE_SRC:%.c=$(BUILD)/obj/%.o)
GLUE_OBJ  := $(GLUE_SRC:%.c=$(BUILD)/obj/%.o)
CLI_OBJ   := $(CLI_SRC:%.c=$(BUILD)/obj/%.o)
CORE_LIB  := $(BUILD)/libetv_core.a
STORE_LIB := $(BUILD)/libetv_store.a
UNIT_BIN  := $(UNIT_SRC:tests/unit/%.c=$(BUILD)/unit/%)
REPLAY_BIN := $(FUZZ_SRC:tests/fuzz/%.c=$(BUILD)/replay/%)
ALL_C     := mod_etag_version.c $(wildcard include/*.h src/*/*.c src/*/*.h tests/*/*.c tests/*/*.h examples/*/*.c)

# Asked only when something is to be compiled, so that `make deps` works on an empty machine.
apr_cflags   = $(eval apr_cflags := $$(shell pkg-config --cflags apr-1 apr-util-1))$(apr_cflags)
apr_libs     = $(eval apr_libs := $$(shell pkg-config --libs apr-1 apr-util-1))$(apr_libs)
# Debian's hiredis.pc points into the folder itself; the header is always included as <hiredis/…>.
lib_libs     = $(eval lib_libs := $$(shell pkg-config --libs hiredis libsodium jansson))$(lib_libs)
# For rediss://; without OpenSSL 1.1.1 or later everything else works.
has_openssl  := pkg-config --atleast-version=1.1.1 openssl
tls_cflags   = $(eval tls_cflags := $$(shell $(has_openssl) && echo -DETV_HAS_TLS && pkg-config --cflags openssl))$(tls_cflags)
tls_libs     = $(eval tls_libs := $$(shell $(has_openssl) && pkg-config --libs openssl))$(tls_libs)
curl_libs    = $(eval curl_libs := $$(shell pkg-config --libs libcurl))$(curl_libs)
check_libs   = $(eval check_libs := $$(shell pkg-config --libs check))$(check_libs)
httpd_cflags = $(eval httpd_cflags := -isystem $$(shell $(APXS) -q INCLUDEDIR))$(httpd_cflags)

WARN := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes \
        -Wpointer-arith -Wcast-qual -Wwrite-strings -Wformat=2 -Wundef -Wvla \
        $(if $(WERROR),-Werror)
# Everything is bound inside one shared object: no symbol of ours can be replaced from outside.
BASE_CFLAGS = -std=c11 -D_GNU_SOURCE $(OPT) -fPIC -fno-plt -fno-semantic-interposition -fno-strict-aliasing \
              -fstack-protector-strong $(WARN) $(SANITIZE) -Iinclude -Isrc $(CFLAGS)

# APR's ring macros, expanded in our files, cast a volatile pointer; only clang reports it.
glue_warn = $(if $(findstring clang,$(CC)),-Wno-cast-qual)

.DELETE_ON_ERROR:
.SUFFIXES:

all: $(MODULE) $(TOOL)

# The digest of bodies is compiled once for each vector unit, and chosen at run time.
machine = $(eval machine := $$(shell $$(CC) -dumpmachine))$(machine)
$(BUILD)/obj/src/core/digest_base.o: own_cflags = -O3 -funroll-loops
$(BUILD)/obj/src/core/digest_avx2.o: own_cflags = -O3 -funroll-loops $(if $(filter x86_64-%,$(machine)),-mavx2)
$(BUILD)/obj/src/core/digest_avx512.o: own_cflags = -O3 -funroll-loops $(if $(filter x86_64-%,$(machine)),-mavx512f)

$(BUILD)/obj/src/core/%.o: src/core/%.c Makefile
	@mkdir -p $(@D)
	$(CC) $(BASE_CFLAGS) $(own_cflags) $(apr_cflags) -MMD -MP -c $< -o $@

$(BUILD)/obj/src/store/%.o: src/store/%.c Makefile
	@mkdir -p $(@D)
	$(CC) $(BASE_CFLAGS) $(apr_cflags) $(tls_cflags) -MMD -MP -c $< -o $@

$(BUILD)/obj/src/cli/%.o: src/cli/%.c Makefile
	@mkdir -p $(@D)
	$(CC) $(BASE_CFLAGS) $(apr_cflags) -MMD -MP -c $< -o $@

$(BUILD)/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(BASE_CFLAGS) $(glue_warn) $(apr_cflags) $(httpd_cflags) -MMD -MP -c $< -o $@

$(CORE_LIB): $(CORE_OBJ)
	rm -f $@ && ar rcs $@ $^

$(STORE_LIB): $(STORE_OBJ)
	rm -f $@ && ar rcs $@ $^

# Only the module record is exported: the version script keeps every other symbol inside.
$(MODULE): $(GLUE_OBJ) $(STORE_LIB) $(CORE_LIB) src/httpd/exports.map
	$(CC) -shared $(SANITIZE) -o $@ $(GLUE_OBJ) $(STORE_LIB) $(CORE_LIB) \
	  -Wl,--version-script=src/httpd/exports.map -Wl,-z,relro,-z,now $(LDFLAGS) $(lib_libs) $(tls_libs) -lpthread

$(TOOL): $(CLI_OBJ) $(STORE_LIB) $(CORE_LIB)
	$(CC) $(SANITIZE) -o $@ $^ -Wl,-z,relro,-z,now $(LDFLAGS) $(lib_libs) $(curl_libs) $(tls_libs) $(apr_libs) -lpthread

$(DEMO_MODULE): $(BUILD)/obj/examples/demo/mod_etag_version_demo.o
	$(CC) -shared $(SANITIZE) -o $@ $^ $(LDFLAGS)

# What the cost of a request is compared with.
$(BENCH_MODULE): $(BUILD)/obj/tests/bench/mod_const304.o
	$(CC) -shared $(SANITIZE) -o $@ $^ $(LDFLAGS)

$(BUILD)/unit/%: tests/unit/%.c $(STORE_LIB) $(CORE_LIB) Makefile
	@mkdir -p $(@D)
	$(CC) $(BASE_CFLAGS) $(apr_cflags) $(tls_cflags) -Itests/unit -MMD -MP -MF $@.d $< $(STORE_LIB) $(CORE_LIB) -o $@ \
	  $(LDFLAGS) $(lib_libs) $(tls_libs) $(apr_libs) $(check_libs) -lpthread

# The fuzz targets, linked with a main that replays files.
$(BUILD)/replay/%: tests/fuzz/%.c tests/fuzz/replay.c $(CORE_LIB) Makefile
	@mkdir -p $(@D)
	$(CC) $(BASE_CFLAGS) $(apr_cflags) -MMD -MP -MF $@.d $< tests/fuzz/replay.c $(CORE_LIB) -o $@ \
	  $(LDFLAGS) $(lib_libs) $(apr_libs)

unit: $(UNIT_BIN)
	@set -e; for t in $(UNIT_BIN); do echo "== $$t"; $$t; done

replay: $(REPLAY_BIN)
	@set -e; for t in $(REPLAY_BIN); do n=$$(basename $$t); $$t tests/fuzz/corpus/$${n#fuzz_}; done

# What scripts/check.sh and scripts/demo.py ask for.
demo-module: $(DEMO_MODULE)
bench-module: $(BENCH_MODULE)
libs: $(CORE_LIB) $(STORE_LIB)
unit-programs: $(UNIT_BIN)
replay-programs: $(REPLAY_BIN)

# --- for people: these install what is missing first, and compile in a second make ---------------

deps-%:
	@scripts/deps.sh $*

demo:
	@scripts/deps.sh build demo
	@echo "Building the module"
	@$(MAKE) -s --no-print-directory all demo-module
	@BUILD=$(BUILD) $(PYTHON) scripts/demo.py

demo-django:
	@scripts/deps.sh build demo systems
	@echo "Building the module"
	@$(MAKE) -s --no-print-directory all
	@BUILD=$(BUILD) $(PYTHON) examples/django/run.py $(if $(filter-out 0,$(ONCE)),--once)

check:
	@scripts/deps.sh build check systems
	@BUILD=$(BUILD) PYTHON=$(PYTHON) scripts/check.sh short

check-long:
	@scripts/deps.sh build check systems recipes long
	@BUILD=$(BUILD) PYTHON=$(PYTHON) scripts/check.sh long

# Instructions per request and requests per second: tests/bench.
bench:
	@scripts/deps.sh build bench
	@echo "Building the module"
	@$(MAKE) -s --no-print-directory all bench-module libs
	@BUILD=$(BUILD) $(PYTHON) tests/bench/cost.py
	@BUILD=$(BUILD) $(PYTHON) tests/bench/tables.py
	@BUILD=$(BUILD) $(PYTHON) tests/bench/speed.py

# The example's list of 140 KB, revalidated by the application and by the module.
bench-systems:
	@scripts/deps.sh build bench systems
	@echo "Building the module"
	@$(MAKE) -s --no-print-directory all demo-module
	@BUILD=$(BUILD) $(PYTHON) tests/bench/systems.py

fuzz:
	@scripts/deps.sh build fuzz
	@BUILD=$(BUILD) scripts/fuzz.sh

format:
	@scripts/deps.sh format
	@scripts/format.sh $(ALL_C)

format-check:
	@scripts/format.sh --check $(ALL_C)

# apxs -i installs the module, and adds no LoadModule line: that stays the administrator's.
install: $(MODULE) $(TOOL)
	mkdir -p "$(DESTDIR)$(shell $(APXS) -q LIBEXECDIR)" "$(DESTDIR)$(shell $(APXS) -q INCLUDEDIR)"
	$(APXS) -S LIBEXECDIR="$(DESTDIR)$(shell $(APXS) -q LIBEXECDIR)" -i -n etag_version $(MODULE)
	install -m 644 include/mod_etag_version.h "$(DESTDIR)$(shell $(APXS) -q INCLUDEDIR)/"
	install -d "$(DESTDIR)$(shell $(APXS) -q bindir)"
	install -m 755 $(TOOL) "$(DESTDIR)$(shell $(APXS) -q bindir)/"
	@echo "Installed. Add to httpd's configuration:"
	@echo "    LoadModule etag_version_module $(shell $(APXS) -q LIBEXECDIR)/mod_etag_version.so"

clean:
	rm -rf $(BUILD)

.PHONY: all unit replay demo-module bench-module libs unit-programs replay-programs demo demo-django check \
        check-long bench bench-systems fuzz format format-check install clean

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
