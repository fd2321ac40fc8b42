# SPDX-License-Identifier: Apache-2.0
"""One small application behind each kind of backend, all counting their calls."""
from . import places
from .backend import HttpBackend
from .fastcgi import FastCgi, PhpFpm

_CGI = """#!/bin/sh
printf x >> "$COUNTER"
printf 'Content-Type: text/plain\\r\\nX-Origin: yes\\r\\n\\r\\n'
printf 'cgi %s\\n' "$(wc -c < "$COUNTER")"
"""

_WSGI = """
def application(environ, start_response):
    with open({counter!r}, "a+") as f:
        f.write("x")
        f.flush()
        number = f.tell()
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-Origin", "yes")])
    return [b"wsgi %d\\n" % number]
"""

_PHP = """<?php
file_put_contents({counter!r}, "x", FILE_APPEND);
header("Content-Type: text/plain");
header("X-Origin: yes");
echo "php ", filesize({counter!r}), "\\n";
"""


class App:
    """What a test needs to know: modules and configuration for httpd, the path, and the calls."""

    modules = ""
    conf = ""
    path = "/app/page"
    counts = True  # static files cannot count

    def prepare(self, server):
        """Put files below the server's root before it starts."""

    def calls(self):
        raise NotImplementedError

    def close(self):
        pass


class _CountingFile(App):
    """Counts with one byte per call in a file."""

    def prepare(self, server):
        folder = server.root / "count"
        folder.mkdir()
        places.writable(folder)
        self.counter = folder / "calls"
        self.counter.touch()
        places.writable(self.counter)

    def calls(self):
        return self.counter.stat().st_size


class HttpApp(App):
    modules = "proxy"

    def __init__(self):
        self.backend = HttpBackend()
        self.conf = f"ProxyPass /app/ {self.backend.url}/app/"

    def calls(self):
        return self.backend.calls(self.path)

    def close(self):
        self.backend.close()


class CgiApp(_CountingFile):
    def __init__(self, program="cgid"):
        self.modules = f"alias env {program}"
        self.path = "/app/page.sh"
        sock = "ScriptSock @ROOT@/run/cgisock\n" if program == "cgid" else ""
        self.conf = (f'{sock}ScriptAlias /app/ "@ROOT@/cgi/"\n'
                     'SetEnv COUNTER "@ROOT@/count/calls"')

    def prepare(self, server):
        super().prepare(server)
        server.write("cgi/page.sh", _CGI, 0o755)


class FcgiApp(App):
    modules = "fcgi"

    def __init__(self):
        self.fcgi = FastCgi(lambda params, number: "Content-Type: text/plain\r\nX-Origin: yes\r\n"
                                                   f"\r\nfcgi {number}\n")
        self.conf = f"ProxyPass /app/ fcgi://127.0.0.1:{self.fcgi.port}/"

    def calls(self):
        return self.fcgi.calls()

    def close(self):
        self.fcgi.close()


class PhpApp(_CountingFile):
    modules = "fcgi"
    path = "/app/page.php"

    def __init__(self):
        self.fpm = PhpFpm()
        self.conf = ('<FilesMatch "\\.php$">\n'
                     f'  SetHandler "proxy:unix:{self.fpm.socket}|fcgi://localhost"\n</FilesMatch>')

    def prepare(self, server):
        super().prepare(server)
        server.write("htdocs/app/page.php", _PHP.format(counter=str(self.counter)))

    def close(self):
        self.fpm.close()


class WsgiApp(_CountingFile):
    modules = "wsgi"
    # Tearing the interpreter down can hang a threaded child at its end.
    conf = 'WSGIDestroyInterpreter Off\nWSGIScriptAlias /app "@ROOT@/app.wsgi"'

    def prepare(self, server):
        super().prepare(server)
        server.write("app.wsgi", _WSGI.format(counter=str(self.counter)))


class StaticApp(App):
    """A file; that the file was not read shows in its changed content not arriving."""

    path = "/app/page.txt"
    counts = False

    def prepare(self, server):
        self.server, self.number = server, 0
        self.change()

    def change(self):
        self.number += 1
        self.server.write("htdocs/app/page.txt", f"static {self.number}\n")

    def calls(self):
        return None


KINDS = {
    "http": HttpApp,
    "cgid": CgiApp,
    "cgi": lambda: CgiApp("cgi"),
    "fcgi": FcgiApp,
    "php": PhpApp,
    "wsgi": WsgiApp,
    "static": StaticApp,
}
