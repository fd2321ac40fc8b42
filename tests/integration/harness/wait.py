# SPDX-License-Identifier: Apache-2.0
"""Waiting for a condition instead of sleeping."""
import time

# Bounds that only tell a hang from a slow machine; nothing is measured with them.
PATIENCE = 30.0


def until(condition, what, seconds=PATIENCE):
    """Poll until condition() is true and return its value; fail with `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    pause = 0.002
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:g} s in vain: {what() if callable(what) else what}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)
