#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs each fuzz target with clang's libFuzzer and sanitizers for FUZZ_SECONDS (60).
# New inputs go to build/fuzz/NAME, seeds are read from tests/fuzz/corpus/NAME.
set -euo pipefail
cd "$(dirname "$0")/.."
build=${BUILD:-build}/fuzz
seconds=${FUZZ_SECONDS:-60}
unset MAKEFLAGS MFLAGS MAKEOVERRIDES
mkdir -p "$build"

options=(CC=clang OPT="-O1 -g" SANITIZE="-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize=object-size -fno-sanitize-recover=undefined")
echo "+ make BUILD=$build ${options[*]} libs"
make -s -j"$(nproc)" BUILD="$build" "${options[@]}" libs
mapfile -t flags < <(pkg-config --cflags --libs hiredis libsodium jansson apr-1 apr-util-1 | tr -s ' ' '\n' | sed '/^$/d')
for source in tests/fuzz/fuzz_*.c; do
    name=$(basename "$source" .c)
    program=$build/$name
    corpus=$build/corpus/${name#fuzz_}
    mkdir -p "$corpus"
    clang -std=c11 -D_GNU_SOURCE -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize=object-size -fno-sanitize-recover=undefined \
        -Iinclude -Isrc "$source" "$build/libetv_core.a" -o "$program" "${flags[@]}"
    echo "+ $program for $seconds s"
    "$program" -max_total_time="$seconds" -print_final_stats=1 -verbosity=0 -max_len=4096 \
        -artifact_prefix="$build/" "$corpus" "tests/fuzz/corpus/${name#fuzz_}"
done
echo "fuzz: nothing found"
