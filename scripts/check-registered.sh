#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Nothing is forgotten: every unit test that is written is run, every fuzz target has a corpus, every
# code file says its licence. The Makefile builds and runs each tests/unit/test_*.c it finds.
set -euo pipefail
cd "$(dirname "$0")/.."
failed=0

fail()
{
    echo "registered: $*" >&2
    failed=1
}

tests=0
for file in tests/unit/test_*.c; do
    names=$(sed -nE 's/^START_TEST\(([a-z0-9_]+)\).*/\1/p' "$file")
    [ -n "$names" ] || fail "$file has no test"
    for name in $names; do
        tests=$((tests + 1))
        # Its definition, and its place in the list that main runs.
        [ "$(grep -cw -e "$name" "$file")" -ge 2 ] || fail "$file: test $name is not run"
    done
done
for file in tests/unit/*.c; do
    case $file in
        tests/unit/test_*) ;;
        *) grep -qsF "$(basename "$file" .c)" Makefile || fail "$file is in no rule of the Makefile" ;;
    esac
done
for file in tests/fuzz/fuzz_*.c; do
    name=$(basename "$file" .c)
    [ -n "$(ls -A "tests/fuzz/corpus/${name#fuzz_}" 2>/dev/null)" ] || fail "$file has no corpus"
done
for file in tests/integration/*.py; do
    case $file in
        */test_*.py) grep -qE '^ *(async )?def test_' "$file" || fail "$file has no test" ;;
    esac
done
while IFS= read -r file; do
    [ -s "$file" ] || continue
    head -n 3 "$file" | grep -q 'SPDX-License-Identifier: Apache-2.0' || fail "$file has no SPDX line"
done < <(find mod_etag_version.c include src tests examples scripts .ci Makefile -type f \
              \( -name '*.[ch]' -o -name '*.py' -o -name '*.sh' -o -name '*.ini' -o -name Makefile \
                 -o -path '*/.ci/*' -o -path 'scripts/*' -o -name '*.html' -o -name '*.in' \) \
              -not -path '*/__pycache__/*' -not -path '*/corpus/*' -not -name pytest.ini)
[ $failed = 0 ] && echo "registered: $tests unit tests, each run; every fuzz target has a corpus; every file says its licence"
exit $failed
