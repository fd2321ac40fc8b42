# SPDX-License-Identifier: Apache-2.0
"""Processes that are frozen or killed, for certain: a signal takes effect some time after it was sent."""
import os
import signal
from pathlib import Path

from .wait import until


def _states(pid):
    """One letter for each thread, such as S for sleeping or T for stopped; empty when there is no such process."""
    found = ""
    for task in Path(f"/proc/{pid}/task").glob("*/stat"):
        try:
            found += task.read_text(errors="replace").rsplit(")", 1)[1].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            pass
    return found


def freeze(pid):
    """SIGSTOP; returns when no thread does anything any more."""
    os.kill(pid, signal.SIGSTOP)
    until(lambda: not _states(pid).strip("TZX"), "the process to stand still")


def thaw(pid):
    os.kill(pid, signal.SIGCONT)


def kill(pid):
    """kill -9; returns when it is gone, but for what its parent may still want to know."""
    os.kill(pid, signal.SIGKILL)
    until(lambda: not _states(pid).strip("ZX"), "the process to be gone")
