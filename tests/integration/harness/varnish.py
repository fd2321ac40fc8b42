# SPDX-License-Identifier: Apache-2.0
"""A private varnishd."""
import re
import subprocess

from . import places
from .front import Front
from .wait import PATIENCE


class Varnish(Front):
    """`conf` is the VCL."""

    kind = "varnishd"
    bad = re.compile(r"Child \(\d+\) (died|Panic|not responding)|Error: (?!Manager got SIGTERM)|Assert"
                     r"|Message from (C|VCC)-compiler")

    def _files(self):
        return {"site.vcl": self.conf}

    def _command(self):
        # Without a jail it runs as whoever starts it; the log in shared memory is 80 MB otherwise.
        return [places.program("varnishd"), "-F", "-j", "none", "-n", str(self.root / "work"),
                "-a", f"127.0.0.1:{self.port}", "-f", str(self.root / "site.vcl"), "-s", "default,32m", "-l", "4m",
                "-T", "127.0.0.1:0", "-p", "thread_pools=1", "-p", "thread_pool_min=10", "-p", "backend_idle_timeout=5"]

    def _serves(self):
        """It has the port before it has compiled the VCL."""
        return "Child in state running" in self._ask("status").stdout and super()._serves()

    def _ask(self, *words):
        return subprocess.run([places.program("varnishadm"), "-n", str(self.root / "work"), *words], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=PATIENCE, check=False)

    def adm(self, *words):
        """A command of its command line interface; the answer."""
        run = self._ask(*words)
        assert run.returncode == 0, f"varnishadm {words}: {run.stdout}"
        return run.stdout

    def faults(self):
        """What went wrong while it fetched or ran the VCL, as its log in memory has it."""
        run = subprocess.run([places.program("varnishlog"), "-d", "-n", str(self.root / "work"), "-g", "raw", "-i",
                              "Error,FetchError,VCL_Error,LostHeader,BogoHeader,HttpGarbage"], text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE, check=True)
        return run.stdout

    def stop(self):
        faults = self.faults() if self.process and self.process.poll() is None else ""
        super().stop()
        assert not faults, f"varnishd's log:\n{faults}"
