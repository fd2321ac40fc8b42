#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs the project's checks, each with a line that says what is run, and counts.
#   scripts/check.sh short|long|newer [step ...]
# Results are kept in build/check/results.PLAN: one line per step, "step passed failed seconds".
# A test that is skipped counts as failed.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
plan=${1:?usage: $0 short|long|newer [step ...]}
shift
build=${BUILD:-build}
PYTHON=${PYTHON:-/usr/bin/python3}
jobs=$(nproc)
# Tests wait more than they compute: for servers, for time-outs, for each other. So there are more of them at once
# than processors; a dozen workers is what the harness has ports for.
many=$((3 * jobs < 12 ? 3 * jobs : 12))
export PYTHONDONTWRITEBYTECODE=1
# The makes below choose their own options, and must not take the caller's job server.
unset MAKEFLAGS MFLAGS MAKEOVERRIDES

here=$build/check
mkdir -p "$here/logs"
results=$here/results.$plan
: >"$results"
step=

say()
{
    echo "+ $*"
    "$@"
}

# Run a step, keep its output, count.
run()
{
    local status passed failed start=$SECONDS log
    step=$1
    log=$here/logs/$step
    echo
    echo "== $step: $2"
    "step_${step//-/_}" </dev/null 2>&1 | tee "$log"
    status=${PIPESTATUS[0]}
    read -r passed failed < <(count "$log" "$status")
    echo "$step $passed $failed $((SECONDS - start))" >>"$results"
    if [ "$failed" = 0 ]; then
        echo "-- $step: $passed passed in $((SECONDS - start)) s"
    else
        echo "-- $step: $failed FAILED (exit status $status), $passed passed in $((SECONDS - start)) s"
    fi
}

# What a step's output says: "passed failed". Understands libcheck, replayed inputs, models and pytest; any other
# step is one check. A status other than 0 is at least one failure.
count()
{
    awk -v status="$2" '
        /^[0-9]+%: Checks: [0-9]+, Failures: [0-9]+, Errors: [0-9]+/ {
            gsub(/[,:]/, ""); seen = 1; bad += $5 + $7; good += $3 - $5 - $7
        }
        /: [0-9]+ inputs$/ { seen = 1; good += $(NF - 1) }
        /^(pytest|model): [0-9]+ passed, [0-9]+ failed$/ { seen = 1; good += $2; bad += $4 }
        END {
            if (status == 0 && !seen) good = 1
            if (status != 0 && !bad) bad = 1
            print good + 0, bad + 0
        }' "$1"
}

# --- variants of the build ------------------------------------------------------------------------
# Each has a folder of its own, so that nothing compiled earlier hides a warning. Warnings are errors where
# no sanitizer changes what the compiler sees.

variant()
{
    local name=$1
    shift
    say make -s -j"$jobs" BUILD="$here/$name" "$@" all demo-module bench-module libs unit-programs replay-programs
}

# No object-size: APR declares apr_pstrmemdup as one byte smaller than what it allocates.
ASAN=(OPT="-O1 -g" SANITIZE="-fsanitize=address,undefined -fno-sanitize=object-size -fno-omit-frame-pointer \
-fno-sanitize-recover=undefined")
# It does not understand fences, and gcc says so.
TSAN=(OPT="-O1 -g" SANITIZE="-fsanitize=thread" CFLAGS="-Wno-tsan")

# All, or those that `only` names, `at_once` of them side by side. What one says is shown when it has ended, in one
# piece.
unit_programs()
{
    local source running=0 status=0 parts=$PWD/$here/logs/$step.parts
    rm -rf "$parts"
    mkdir "$parts"
    for source in ${only:-tests/unit/test_*.c}; do
        if [ $running -ge "${at_once:-$((2 * jobs))}" ]; then
            wait -n
            running=$((running - 1))
        fi
        unit_program "$parts/$(basename "$source" .c)" "${@:2}" "$here/$1/unit/$(basename "$source" .c)" &
        running=$((running + 1))
    done
    wait
    for source in ${only:-tests/unit/test_*.c}; do
        [ -e "$parts/$(basename "$source" .c).good" ] || status=1
    done
    return $status
}

# A part of it. Nothing but an end without a failure leaves the file that says so.
unit_program()
{
    local part=$1 status=0
    shift
    say "$@" >"$part" 2>&1 || status=$?
    [ $status = 0 ] || echo "unit: ${*: -1}: exit status $status" >>"$part"
    flock "${part%/*}" cat "$part"
    [ $status != 0 ] || : >"$part.good"
}

replay_programs()
{
    local source name status=0
    for source in tests/fuzz/fuzz_*.c; do
        name=$(basename "$source" .c)
        say "$here/$1/replay/$name" "tests/fuzz/corpus/${name#fuzz_}" || status=1
    done
    return $status
}

# Tests that need a newer Django than the one here are not among those to run, so nothing is skipped.
django_marks()
{
    "$PYTHON" -c 'import sys, django; sys.exit(django.VERSION < (4,))' 2>/dev/null || echo "and not django4"
}

# pytest on a variant's module, whose workers do not compile the tests each time; the count comes from its
# report, a skip is a failure. After the marks: the files, if not all.
integration()
{
    local name=$1 marks=$2 status
    shift 2
    [ $# -gt 0 ] || set -- tests/integration
    local report=$PWD/$here/logs/$step.xml
    rm -f "$report"
    ETV_MODULE=$PWD/$here/$name/mod_etag_version.so \
    ETV_DEMO_MODULE=$PWD/$here/$name/mod_etag_version_demo.so \
    PYTHONDONTWRITEBYTECODE='' PYTHONPYCACHEPREFIX=$PWD/$here/pycache \
        say "$PYTHON" -m pytest "$@" -q -n "${workers:-$many}" -m "$marks" --junitxml="$report"
    status=$?
    "$PYTHON" scripts/count-pytest.py "$report" || status=1
    return $status
}

# --- make check -----------------------------------------------------------------------------------

step_format()     { make -s format-check; }
step_build()      { variant gcc WERROR=1; }
step_layers()     { say scripts/check-layers.sh "$here/gcc"; }
step_exports()    { say scripts/check-exports.sh "$here/gcc/mod_etag_version.so"; }
step_registered() { say scripts/check-registered.sh; }
step_docs()       { say "$PYTHON" scripts/check-docs.py "$here/gcc/mod_etag_version.so"; }
step_unit()       { unit_programs gcc; }
step_replay()     { replay_programs gcc; }
step_model()      { BUILD=$here say scripts/model.sh short; }
step_demo()       { BUILD=$here/gcc ONCE=1 say "$PYTHON" scripts/demo.py; }
step_integration() { integration gcc "not long $(django_marks)"; }

# --- make check-long ------------------------------------------------------------------------------

step_clang() { variant clang CC=clang WERROR=1; }
step_asan_build() { variant asan "${ASAN[@]}"; }
step_asan_unit()
{
    export ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1
    unit_programs asan
}
step_asan_replay() { replay_programs asan; }
step_asan_integration()
{
    local asan ubsan
    asan=$(gcc -print-file-name=libasan.so)
    ubsan=$(gcc -print-file-name=libubsan.so)
    # httpd itself leaks at its end by design; what is looked for is in the module's requests.
    ETV_PRELOAD="$(readlink -f "$asan") $(readlink -f "$ubsan")"
    export ETV_PRELOAD
    export ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1
    workers=$((many * 5 / 6)) integration asan "not memory and not storm and not systems"
}
step_tsan_build() { variant tsan "${TSAN[@]}"; }
step_tsan_unit()
{
    # Thread sanitizer cannot place its shadow memory under every layout of addresses.
    local plain=()
    setarch -R true 2>/dev/null && plain=(setarch -R)
    export TSAN_OPTIONS="halt_on_error=1 second_deadlock_stack=1"
    unit_programs tsan "${plain[@]}"
}
step_valgrind_unit()
{
    variant gcc WERROR=1 || return
    export CK_FORK=no
    # It computes: with more at once, time-outs come that nobody meant.
    at_once=$jobs unit_programs gcc valgrind -q --fair-sched=yes --error-exitcode=99 --leak-check=full \
        --errors-for-leak-kinds=definite
}
step_integration_long()
{
    variant gcc WERROR=1 || return
    workers=$((many / 2)) integration gcc "long $(django_marks)"
}
step_model_long() { BUILD=$here say scripts/model.sh long; }
step_cost()
{
    variant gcc WERROR=1 || return
    BUILD=$here/gcc say "$PYTHON" tests/bench/cost.py --check
}
step_debian13() { say scripts/debian13.sh; }

# --- with other libraries and servers: scripts/debian13.sh ----------------------------------------

# What is there to test the Redis store.
store_tests()
{
    integration gcc "not long" tests/integration/test_{redis,lease,sentinel,cluster,tls,content_fallback}*.py
}
step_redis() { store_tests; }
step_valkey()
{
    local status=0
    export ETV_REDIS_SERVER=valkey-server
    only=$(grep -l '"redis_fixture.h"' tests/unit/test_*.c) unit_programs gcc || status=1
    store_tests || status=1
    return $status
}
# The example application and its clients, with a newer Django, its own Redis cache and newer browsers and caches.
step_systems()
{
    local files
    mapfile -t files < <(compgen -G "tests/integration/test_*.py" |
                             grep -E '/test_(lab|system|clients|browser|graphql)[a-z_]*\.py$')
    if [ ${#files[@]} = 0 ]; then
        echo "systems: there are no such tests"
        return 1
    fi
    integration gcc "not long $(django_marks)" "${files[@]}"
}

# --- the plans ------------------------------------------------------------------------------------

short_plan()
{
    cat <<'END'
format the C code is formatted
build gcc, warnings are errors
layers no layer needs anything from above
exports only the module record is exported
registered every test is run, every file says its licence
docs every directive is documented, every example loads
unit the unit tests
replay the fuzz targets on their corpora
model the models of the shared table: what holds, and what is broken on purpose
demo the demo's story
integration a running httpd, all but the long tests
END
}

long_plan()
{
    cat <<'END'
clang clang, warnings are errors
asan-build a build with address and undefined-behaviour sanitizers
asan-unit the unit tests with these sanitizers
asan-replay the fuzz targets with these sanitizers
asan-integration all tests against httpd but those with applications, with these sanitizers in the module
tsan-build a build with the thread sanitizer
tsan-unit the unit tests with the thread sanitizer
valgrind-unit the unit tests under valgrind
integration-long the long tests against a running httpd
model-long the same models, larger
cost instructions per request stay within their limits
debian13 the same with hiredis 1, newer compilers and servers, and Valkey
END
}

newer_plan()
{
    cat <<'END'
build gcc, warnings are errors
unit the unit tests
replay the fuzz targets on their corpora
redis a running httpd with redis-server
valkey the store's tests with valkey-server
systems the example application, with its clients and browsers
END
}

case $plan in
    short | long | newer) ;;
    *) echo "usage: $0 short|long|newer [step ...]" >&2; exit 2 ;;
esac
chosen=" $* "
while read -r name what; do
    [ $# -eq 0 ] || [[ $chosen == *" $name "* ]] || continue
    run "$name" "$what"
    case $name in
        build | asan-build | tsan-build)
            # Nothing that follows can be judged without it.
            grep -q "^$name 1 0 " "$results" || [ "$plan" = long ] || break ;;
    esac
done < <("${plan}_plan")

echo
case $plan in
    short) name=check ;;
    long) name=check-long ;;
    newer) name="check with newer libraries" ;;
esac
awk -v name="$name" '
    { printf "%-18s %6d passed %4d failed %6d s\n", $1, $2, $3, $4; good += $2; bad += $3; all += $4 }
    END {
        printf "%s: %d passed, %d failed in %d s\n", name, good, bad, all
        exit bad > 0 || good == 0
    }' "$results"
