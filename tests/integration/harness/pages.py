# SPDX-License-Identifier: Apache-2.0
"""The same pages behind each kind of backend: the test says what a page answers and sees what it was asked.

No backend here knows anything of conditions or ranges.
"""
import json
import os
from http.client import responses

from . import places
from .backend import HttpBackend, Reply
from .fastcgi import FastCgi

_CGI = """#!/bin/sh
page="@PAGES@/${PATH_INFO#/}"
[ -z "$CONTENT_LENGTH" ] || cat >/dev/null
env >"$page.new" && mv "$page.new" "$page.asked"
cat "$page"
"""

_WSGI = """
import json, os
def application(environ, start_response):
    page = os.path.join("@PAGES@", environ["PATH_INFO"].lstrip("/"))
    with open(page + ".new", "w") as f:
        json.dump({k: v for k, v in environ.items() if isinstance(v, str)}, f)
    os.replace(page + ".new", page + ".asked")
    with open(page, "rb") as f:
        head, body = f.read().split(b"\\n\\n", 1)
    status, *lines = head.decode("latin-1").split("\\n")
    start_response(status, [tuple(line.split(": ", 1)) for line in lines])
    return [body]
"""


class Asked:
    """The fields of a request, in whatever way the backend got them. In CGI's variables - is _."""

    def __init__(self, method, fields):
        self.method, self._fields = method, {k.lower().replace("-", "_"): v for k, v in fields}

    def get(self, name):
        return self._fields.get(name.lower().replace("-", "_"))

    @classmethod
    def from_variables(cls, variables):
        return cls(variables["REQUEST_METHOD"],
                   [(k[5:], v) for k, v in variables.items() if k.startswith("HTTP_")])


class Pages:
    """put() says what a page answers from now on. `conf` and `modules` are for the server's configuration."""

    kind, modules, conf = "", "", ""

    def prepare(self, server):
        """Put files below the server's root before it starts."""

    def path(self, name):
        return f"/{self.kind}/{name}"

    def put(self, name, body="", headers=(), status=200, media="text/plain"):
        """Returns the path."""
        pairs = list(headers.items() if isinstance(headers, dict) else headers)
        body = body.encode() if isinstance(body, str) else body
        self._put(name, body, pairs, status, media)
        return self.path(name)

    def _put(self, name, body, headers, status, media):
        raise NotImplementedError

    def asked(self, name):
        """The last request for the page; a failure when there was none."""
        raise NotImplementedError

    def close(self):
        pass


class HttpPages(Pages):
    kind, modules = "http", "proxy"

    def __init__(self):
        self.backend = HttpBackend()
        self.conf = f"ProxyPass /http/ {self.backend.url}/http/"

    def _put(self, name, body, headers, status, media):
        self.backend.on(self.path(name), Reply(status, headers, body, content_type=media))

    def asked(self, name):
        request = self.backend.last(self.path(name))
        return Asked(request.method, request.headers)

    def calls(self, name):
        return self.backend.calls(self.path(name))

    def close(self):
        self.backend.close()


class _FilePages(Pages):
    """Kept in files, for programs that httpd runs."""

    def prepare(self, server):
        self.folder = server.root / f"pages-{self.kind}"
        self.folder.mkdir()
        places.writable(self.folder)

    def _file(self, name, content):
        new = self.folder / f"{name}.put"
        new.write_bytes(content)
        new.chmod(0o644)
        os.replace(new, self.folder / name)


def _cgi_output(body, headers, status, media):
    """What a CGI or FastCGI program prints; a status line only where it says something new."""
    lines = [f"{k}: {v}" for k, v in headers] + ([f"Content-Type: {media}"] if media else [])
    if status != 200:
        lines.insert(0, f"Status: {status} {responses[status]}")
    return "".join(line + "\n" for line in lines).encode("latin-1") + b"\n" + body


class CgiPages(_FilePages):
    kind = "cgi"

    def __init__(self, program="cgid"):
        self.modules = f"alias {program}"
        self.conf = (("ScriptSock @ROOT@/run/cgisock\n" if program == "cgid" else "")
                     + 'ScriptAlias /cgi "@ROOT@/pages.sh"')

    def prepare(self, server):
        super().prepare(server)
        server.write("pages.sh", _CGI.replace("@PAGES@", str(self.folder)), 0o755)

    def _put(self, name, body, headers, status, media):
        self._file(name, _cgi_output(body, headers, status, media))

    def asked(self, name):
        lines = (self.folder / f"{name}.asked").read_text().splitlines()
        return Asked.from_variables(dict(line.split("=", 1) for line in lines if "=" in line))


class WsgiPages(_FilePages):
    kind, modules = "wsgi", "wsgi"
    # Tearing the interpreter down can hang a threaded child at its end.
    conf = 'WSGIDestroyInterpreter Off\nWSGIScriptAlias /wsgi "@ROOT@/pages.wsgi"'

    def prepare(self, server):
        super().prepare(server)
        server.write("pages.wsgi", _WSGI.replace("@PAGES@", str(self.folder)))

    def _put(self, name, body, headers, status, media):
        lines = [f"{status} {responses[status]}", *(f"{k}: {v}" for k, v in headers)]
        lines += [f"Content-Type: {media}"] if media else []
        self._file(name, "\n".join(lines).encode("latin-1") + b"\n\n" + body)

    def asked(self, name):
        return Asked.from_variables(json.loads((self.folder / f"{name}.asked").read_text()))


class WsgiDaemonPages(WsgiPages):
    """In a process of its own, which speaks CGI with httpd."""

    kind = "wsgid"
    conf = ("WSGIDestroyInterpreter Off\nWSGISocketPrefix @ROOT@/run/wsgi\nWSGIDaemonProcess pages threads=2\n"
            'WSGIScriptAlias /wsgid "@ROOT@/pages-d.wsgi" process-group=pages application-group=%{GLOBAL}')

    def prepare(self, server):
        _FilePages.prepare(self, server)
        server.write("pages-d.wsgi", _WSGI.replace("@PAGES@", str(self.folder)))


class FcgiPages(Pages):
    kind, modules = "fcgi", "fcgi"

    def __init__(self):
        self._pages, self._asked = {}, {}
        self._fcgi = FastCgi(self._answer)
        self.conf = f"ProxyPass /fcgi/ fcgi://127.0.0.1:{self._fcgi.port}/"

    def _answer(self, params, _number):
        name = params["REQUEST_URI"].split("?")[0].rsplit("/", 1)[-1]
        self._asked[name] = params
        return self._pages[name]

    def _put(self, name, body, headers, status, media):
        self._pages[name] = _cgi_output(body, headers, status, media)

    def asked(self, name):
        return Asked.from_variables(self._asked[name])

    def close(self):
        self._fcgi.close()


class StaticPages(Pages):
    """Files: they have neither headers nor a status of their own.

    Each time of modification is another one, and long ago: httpd's own tag is weak for a file of this moment.
    """

    kind = "static"
    _modified = 1_200_000_000

    def prepare(self, server):
        self._server = server

    def path(self, name):
        return f"/static/{name}.txt"

    def _put(self, name, body, headers, status, media):
        assert not headers and status == 200 and media == "text/plain"
        file = self._server.write(f"htdocs/static/{name}.new", body)
        StaticPages._modified += 10
        os.utime(file, (self._modified, self._modified))
        os.replace(file, file.with_suffix(".txt"))


KINDS = {each.kind: each for each in (HttpPages, CgiPages, WsgiPages, WsgiDaemonPages, FcgiPages, StaticPages)}


def serve(make, conf, kinds, modules="", start=True, **more):
    """A server (make: one of the fixtures *_httpd) with `pages`, a dictionary of the kinds.

    The pages are closed with close_pages().
    """
    pages = {kind: KINDS[kind]() for kind in kinds.split()}
    server = make("\n".join(each.conf for each in pages.values()) + "\n" + conf,
                  " ".join([*(each.modules for each in pages.values()), modules]), start=False, **more)
    for each in pages.values():
        each.prepare(server)
    server.pages = pages
    return server.start() if start else server


def close_pages(server):
    for each in server.pages.values():
        each.close()
