#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Proves that the module exports its module record and nothing else.
#   scripts/check-exports.sh build/mod_etag_version.so
set -euo pipefail
module=$1
exported=$(nm -D --defined-only "$module" | awk '{ print $NF }' | sed 's/@.*//' | sort -u)
if [ "$exported" != etag_version_module ]; then
    echo "exports: $module must export etag_version_module alone; it exports:" >&2
    # shellcheck disable=SC2001
    sed 's/^/    /' <<<"$exported" >&2
    exit 1
fi
echo "exports: etag_version_module alone"
