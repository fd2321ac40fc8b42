#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Says what a pytest report (JUnit XML) holds: "pytest: N passed, M failed". A skip is a failure.

usage: count-pytest.py REPORT.xml; exits 1 when anything failed or nothing was run.
"""
import sys
import xml.etree.ElementTree as xml


def main(path):
    try:
        cases = list(xml.parse(path).getroot().iter("testcase"))
    except (OSError, xml.ParseError) as error:
        print(f"pytest left no report: {error}")
        print("pytest: 0 passed, 1 failed")
        return 1
    bad = 0
    for case in cases:
        kinds = {child.tag for child in case} & {"failure", "error", "skipped"}
        if kinds:
            bad += 1
        if "skipped" in kinds:
            print(f"skipped, which counts as failed: {case.get('classname')}::{case.get('name')}")
    print(f"pytest: {len(cases) - bad} passed, {bad} failed")
    return 1 if bad or not cases else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
