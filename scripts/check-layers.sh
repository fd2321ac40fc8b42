#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Proves that arrows point only down: src/httpd -> src/store -> src/core.
#   scripts/check-layers.sh [folder of the archives]
set -euo pipefail
cd "$(dirname "$0")/.."
build=${1:-build}
failed=0

fail()
{
    echo "layers: $1" >&2
    sed 's/^/    /' >&2
    failed=1
}

# Undefined symbols of an archive that match a pattern.
forbid_symbols()
{
    local archive=$1 pattern=$2 what=$3 found
    found=$(nm -u "$archive" | awk 'NF == 2 && $1 == "U" { print $2 }' | sort -u | grep -E "$pattern" || true)
    [ -z "$found" ] || fail "$archive needs $what:" <<<"$found"
}

# The project's own symbols that an archive needs and neither it nor the archives below it have.
need_only_below()
{
    local archive=$1 found
    found=$(comm -23 <(nm -u "$archive" | awk 'NF == 2 && $2 ~ /^etv_/ { print $2 }' | sort -u) \
                     <(nm --defined-only "$@" | awk 'NF == 3 && $3 ~ /^etv_/ { print $3 }' | sort -u))
    [ -z "$found" ] || fail "$archive needs symbols of a layer above it:" <<<"$found"
}

# HTTPD's pattern also matches names such as "core/http_text.h", which are the project's own.
forbid_includes()
{
    local folder=$1 pattern=$2 what=$3 found
    found=$(grep -rnE --include='*.[ch]' "^[[:space:]]*#[[:space:]]*include[[:space:]]*[<\"]$pattern" "$folder" || true)
    [ "$pattern" != "$HTTPD" ] || found=$(grep -vE '"(core|store)/' <<<"$found" || true)
    [ -z "$found" ] || fail "$folder includes $what:" <<<"$found"
}

HTTPD='([a-z0-9_./-]*/)?(httpd|http_[a-z0-9]+|ap_[a-z0-9_]+|util_[a-z0-9_]+|mod_[a-z0-9_]+|mpm_common|scoreboard|unixd|heartbeat)\.h'

forbid_symbols "$build/libetv_core.a" '^(ap_|unixd_|redis|freeReply|sds|hi_)' "httpd or hiredis"
forbid_symbols "$build/libetv_store.a" '^(ap_|unixd_)' "httpd"
need_only_below "$build/libetv_core.a"
need_only_below "$build/libetv_store.a" "$build/libetv_core.a"

forbid_includes src/core "$HTTPD" "a header of httpd"
forbid_includes src/core '([a-z0-9_./-]*/)?hiredis' "hiredis"
forbid_includes src/core '(\.\./|src/)?(store|httpd)/' "a layer above it"
forbid_includes src/store "$HTTPD" "a header of httpd"
forbid_includes src/store '(\.\./|src/)?httpd/' "a layer above it"
forbid_includes src/cli "$HTTPD" "a header of httpd"
forbid_includes src/cli '(\.\./|src/)?httpd/' "the layer of httpd"

# The tests of the lower layers stay below too: one that needs httpd shows logic in the wrong place.
for folder in tests/unit tests/fuzz; do
    [ ! -d $folder ] || forbid_includes $folder "$HTTPD" "a header of httpd"
    [ ! -d $folder ] || forbid_includes $folder '(\.\./|src/)*httpd/' "the layer of httpd"
done
[ $failed = 0 ] && echo "layers: src/core and src/store need nothing from above"
exit $failed
