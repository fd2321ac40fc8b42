#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What an early 304 costs by the number of its models, and a lookup by the number of keys in the table.

Instructions, counted by callgrind. The first part is the whole request against httpd (cost.py tells how); the
second is find.c, the lookup alone, in a table that was made for so many keys and is full of them.

usage: tables.py
"""
import re
import subprocess
import sys

import cost
import rig

MODELS = (1, 2, 8, 32)
KEYS = (1000, 100_000, 1_000_000)
LOOKUPS = 2000


def versioned(models):
    names = " ".join(f"proteins.Protein:{number}" for number in range(models))
    return f"ETagVersion Version\nETagVersionModels {names}\nETagVersionUpstreamETag Replace\n"


def requests():
    print("Instructions of an early 304 by the number of models (event, keep-alive)", flush=True)
    for models in MODELS:
        costs = {case: cost.cost_of_early(case, "event", versioned(models)) for case in ("local", "lease")}
        print(f"  {models:>2} models   local store {costs['local']:>8,.0f}   Redis under a lease "
              f"{costs['lease']:>8,.0f}   {costs['lease'] - costs['local']:+,.0f}", flush=True)


def compile_find(folder):
    binary = folder / "find"
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "apr-1", "libsodium", "hiredis"], check=True,
                           capture_output=True, text=True).stdout.split()
    source = rig.REPO / "tests" / "bench" / "find.c"
    libraries = [str(rig.BUILD / "libetv_store.a"), str(rig.BUILD / "libetv_core.a")]
    subprocess.run([rig.program("gcc", "cc"), "-std=c11", "-D_GNU_SOURCE", "-O2", f"-I{rig.REPO}/src", str(source),
                    *libraries, *flags, "-lpthread", "-o", str(binary)], check=True, stdin=subprocess.DEVNULL)
    return binary


def find(folder, binary, keys, models):
    """(instructions of one lookup, per cent of the models that were found)"""
    out = folder / "callgrind.find"
    output = subprocess.run([rig.program("valgrind"), "--tool=callgrind", "--toggle-collect=measured",
                             f"--callgrind-out-file={out}", str(binary), str(keys), str(models), str(LOOKUPS)],
                            check=True, capture_output=True, text=True).stdout
    totals = re.findall(r"^(?:summary|totals): (\d+)", out.read_text(errors="replace"), re.M)
    return int(totals[-1]) / LOOKUPS, float(output)


def lookups():
    print("Instructions of a lookup in a full table, by models and keys", flush=True)
    with rig.Folder() as folder:
        binary = compile_find(folder)
        for keys in KEYS:
            line = ""
            for models in MODELS:
                instructions, found = find(folder, binary, keys, models)
                line += f"   {models} models {instructions:>7,.0f} ({found:.1f} % found)"
            print(f"  {keys:>9,} keys{line}", flush=True)


def main():
    requests()
    lookups()
    return 0


if __name__ == "__main__":
    sys.exit(main())
