#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Formats the C code, or with --check says what is not formatted.
#   scripts/format.sh [--check] file ...
# One version of clang-format, because versions disagree about details.
set -euo pipefail
VERSION=19
check=no
if [ "${1:-}" = --check ]; then
    check=yes
    shift
fi

program=
for candidate in "${CLANG_FORMAT:-}" clang-format-$VERSION clang-format; do
    if [ -n "$candidate" ] && "$candidate" --version 2>/dev/null | grep -q "version $VERSION\."; then
        program=$candidate
        break
    fi
done
if [ -z "$program" ]; then
    echo "format: needs clang-format $VERSION (package clang-format-$VERSION), or name it in CLANG_FORMAT" >&2
    exit 1
fi
if [ $check = no ]; then
    "$program" -i "$@"
    echo "format: $# files"
elif "$program" --dry-run -Werror "$@"; then
    echo "format: $# files are formatted"
else
    echo "format: run \`make format\`" >&2
    exit 1
fi
