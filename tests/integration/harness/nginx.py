# SPDX-License-Identifier: Apache-2.0
"""A private nginx with a cache."""
import re

from . import places
from .front import Front

_HEAD = """\
daemon off;
worker_processes 1;
pid @ROOT@/nginx.pid;
error_log @ROOT@/logs/error.log notice;
@USER@
events { worker_connections 256; }
http {
    access_log off;
    client_body_temp_path @ROOT@/temp/body;
    proxy_temp_path @ROOT@/temp/proxy;
    fastcgi_temp_path @ROOT@/temp/fastcgi;
    uwsgi_temp_path @ROOT@/temp/uwsgi;
    scgi_temp_path @ROOT@/temp/scgi;
"""


class Nginx(Front):
    """`conf` is what stands inside of `http { }`."""

    kind = "nginx"
    bad = re.compile(r" \[(warn|error|crit|alert|emerg)\] ")

    def _prepare(self):
        for name in ("temp", "cache"):
            (self.root / name).mkdir()
            places.writable(self.root / name)

    def _files(self):
        user = f"user {places.USER} {places.USER};" if places.IS_ROOT else ""
        return {"nginx.conf": _HEAD.replace("@USER@", user) + self.conf + "\n}\n"}

    def _command(self):
        return [places.program("nginx"), "-p", str(self.root), "-e", str(self.root / "logs/error.log"),
                "-c", str(self.root / "nginx.conf")]

    def _serves(self):
        """The number of its process is written when it has the port."""
        pid = self.root / "nginx.pid"
        return pid.exists() and pid.read_text().strip() == str(self.process.pid) and super()._serves()

    def kept(self):
        """The texts of what is in the cache."""
        return [path.read_bytes() for path in (self.root / "cache").rglob("*") if path.is_file()]
