# SPDX-License-Identifier: Apache-2.0
"""An HTTP/1.1 origin server that counts its calls and knows nothing of conditions."""
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Request:
    """What the origin received."""

    def __init__(self, method, target, headers, body, number):
        self.method, self.target, self.headers, self.body = method, target, headers, body
        self.path = target.split("?", 1)[0]
        self.number = number  # how many calls this path has had, this one included

    def get(self, name):
        for key, value in self.headers:
            if key.lower() == name.lower():
                return value
        return None


class Reply:
    """What it answers; body None means `<path> <number of the call>`."""

    def __init__(self, status=200, headers=(), body=None, delay=0.0, content_type="text/plain"):
        self.status, self.body, self.delay = status, body, delay
        self.headers = list(headers.items() if isinstance(headers, dict) else headers)
        self.content_type = content_type


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body in one write, so that proxies see the same pieces each time

    def log_message(self, format, *args):  # noqa: A002 (the name is the base class's)
        pass

    def _answer(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else b""
        reply, request = self.server.owner.take(self.command, self.path,
                                                list(self.headers.items()), body)
        if reply.delay:
            time.sleep(reply.delay)
        content = reply.body
        if content is None:
            content = f"{request.path} {request.number}\n"
        if isinstance(content, str):
            content = content.encode()
        self.send_response_only(reply.status)
        if reply.content_type and reply.status not in (204, 304):
            self.send_header("Content-Type", reply.content_type)
        self.send_header("X-Origin", "yes")
        for key, value in reply.headers:
            self.send_header(key, value)
        if reply.status not in (204, 304):
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD" and reply.status not in (204, 304):
            self.wfile.write(content)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = _answer


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        pass  # a proxy that closes an idle connection


class HttpBackend:
    """on(path, reply): a Reply, or a function of the Request that makes one."""

    def __init__(self):
        self._lock = threading.Lock()
        self._count = Counter()
        self._routes = {}
        self.requests = []
        self.default = Reply()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.owner = self
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def on(self, path, reply):
        self._routes[path] = reply
        return path

    def take(self, method, target, headers, body):
        path = target.split("?", 1)[0]
        with self._lock:
            self._count[path] += 1
            request = Request(method, target, headers, body, self._count[path])
            self.requests.append(request)
        reply = self._routes.get(path, self.default)
        return (reply(request) if callable(reply) else reply), request

    def calls(self, path=None):
        """Calls so far, of one path or of all."""
        with self._lock:
            return sum(self._count.values()) if path is None else self._count[path]

    def last(self, path=None):
        """The last request received."""
        with self._lock:
            return [r for r in self.requests if path in (None, r.path)][-1]

    def close(self):
        self._server.shutdown()
        self._server.server_close()
