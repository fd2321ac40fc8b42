# SPDX-License-Identifier: Apache-2.0
"""The memory of one process, as the kernel counts it."""
from pathlib import Path


class Memory:
    """Resident memory of a process, and its peak since the last forget()."""

    def __init__(self, pid):
        self._folder = Path(f"/proc/{pid}")

    def _field(self, name):
        for line in (self._folder / "status").read_text().splitlines():
            if line.startswith(name + ":"):
                return int(line.split()[1]) * 1024
        raise AssertionError(f"no {name} of this process")

    def now(self):
        return self._field("VmRSS")

    def peak(self):
        return self._field("VmHWM")

    def forget(self):
        """Let the peak begin again at what there is now."""
        (self._folder / "clear_refs").write_text("5")
        return self.now()
