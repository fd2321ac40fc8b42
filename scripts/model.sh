#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Searches all states of the protocol models in tests/model with spin.
#   scripts/model.sh short|long [name ...]
# One line per search. "holds": the model was searched to its end, nothing is violated, and everything it
# names as worth seeing was seen in one of the searches of the short plan. "caught": a variant that is broken on
# purpose was found out by its assertion; one that is not found out is a failure.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
plan=${1:?usage: $0 short|long [name ...]}
shift
here=${BUILD:-build}/model
models=$PWD/tests/model
mkdir -p "$here"
here=$(cd "$here" && pwd)
CC=${CC:-gcc}
command -v spin >/dev/null || { echo "model: spin is missing (Debian and Ubuntu have a package of this name)" >&2; exit 1; }

# model  holds|caught  what is searched: options for spin, -D left out
searches()
{
    sed '/^ *#/d; /^ *$/d' "$models/searches.$plan"
}

name_of()
{
    tr -c 'A-Za-z0-9_\n' '-' <<<"$*"
}

# Compile and run one. Leaves NAME.result: "ok|FAILED text", and NAME.seen.
search()
{
    local model=$1 expected=$2 name options=() o
    shift 2
    name=$(name_of "$model" "$@")
    for o; do options+=("-D$o"); done
    local dir=$here/$plan/$name optimise=-O2 verdict states
    rm -rf "$dir"
    mkdir -p "$dir"
    cp "$models/$model.pml" "$models/seen.h" "$dir"
    cd "$dir" || return
    [ "$expected" = caught ] && optimise=-O1
    if ! { spin -a "${options[@]}" "$model.pml" &&
           "$CC" $optimise -w -DSAFETY -DCOLLAPSE -DMEMLIM="$memory" -o pan pan.c; } >build.log 2>&1; then
        echo "FAILED model $model $*: cannot be built: $(tail -1 build.log)" >result
        return
    fi
    ./pan -m1000000 -w22 >out 2>&1
    rm -f pan pan.? pan.*.o
    states=$(awk '/states, stored/ { print $1 }' out)
    if grep -q '^pan:1: assertion violated' out; then
        verdict=caught
    elif grep -q '^pan:1:' out; then
        verdict="wrong: $(grep -m1 '^pan:1:' out)"
    elif grep -q 'errors: 0' out && ! grep -Eq 'max search depth too small|Search not completed|out of memory' out; then
        verdict=holds
    else
        verdict="not searched to the end"
    fi
    case $expected/$verdict in
        holds/holds)   echo "ok model $model $*: holds, $states states" ;;
        caught/caught) echo "ok model $model $*: caught, as it must be, after $states states" ;;
        *)             echo "FAILED model $model $*: $verdict, expected: $expected (${states:-no} states, see $dir)" ;;
    esac >result
    if [ "$verdict" = holds ]; then
        sed -n "s/^seen: //p" out | tr ',' '\n' | sed "s/^ */$model: /" >seen
    fi
}

memory=1500
[ "$plan" = long ] && memory=6000
mapfile -t wanted < <(searches)
chosen=" $* "
passed=0
failed=0
running=0
results=()

rm -rf "${here:?}/$plan"
for line in "${wanted[@]}"; do
    # shellcheck disable=SC2086
    set -- $line
    [ "$chosen" = "  " ] || [[ $chosen == *" $1 "* ]] || continue
    [ $running -lt "$(nproc)" ] || { wait -n; running=$((running - 1)); }
    # What is done is shown at once.
    (search "$@"; sed 's/^ok //' "$here/$plan/$(name_of "${1}" "${@:3}")/result") &
    running=$((running + 1))
    results+=("$here/$plan/$(name_of "$1" "${@:3}")/result")
done
wait
for result in "${results[@]}"; do
    if grep -q '^ok ' "$result"; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
done

# What no search that holds came across, although its model names it. The short plan has all models.
if [ "$plan" = short ] && [ "${#results[@]}" -gt 0 ]; then
    seen=$(cat "$here/$plan"/*/seen 2>/dev/null |
        awk '{ n = $NF; sub(/ [0-9]+$/, ""); all[$0] += n } END { for (s in all) print (all[s] > 0), s }')
    unseen=$(sed -n 's/^0 //p' <<<"$seen")
    if [ -n "$unseen" ] || [ -z "$seen" ]; then
        sed 's/^/FAILED model: in no state of any search: /' <<<"$unseen"
        failed=$((failed + 1))
    else
        echo "model: all of $(wc -l <<<"$seen") situations came up"
        passed=$((passed + 1))
    fi
fi

echo "model: $passed passed, $failed failed"
[ $failed = 0 ] && [ $passed -gt 0 ]
