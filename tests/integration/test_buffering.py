# SPDX-License-Identifier: Apache-2.0
"""What content mode holds back, and what it must not: streams, types, silent backends, programs."""
import random
import socket
import subprocess

import pytest

from harness import places
from harness.buffering import LIMIT, build
from harness.client import request_bytes
from harness.origin import cut, held_back, script_of, trickle
from harness.reader import Reader, is_content, is_headers
from harness.tags import is_version
from harness.wait import PATIENCE, until


@pytest.fixture(scope="module")
def server(shared_httpd, shared_origin):
    return build(shared_httpd, shared_origin())


# --- nothing waits on a silent backend -----------------------------------------------------------

# Path, media type, fields, Content-Length; kind of tag.
SILENT = {
    "events": ("/o/events", "text/event-stream", [], None, None),
    "events with a parameter": ("/o/events2", "Text/Event-Stream; charset=utf-8", [], None, None),
    "mixed": ("/o/mixed", "multipart/x-mixed-replace; boundary=x", [], None, None),
    "grpc": ("/o/grpc", "application/grpc+proto", [], None, None),
    "accel": ("/o/accel", "text/plain", ["X-Accel-Buffering: no"], None, None),
    "accel with a length": ("/o/accel2", "text/plain", ["X-Accel-Buffering: no"], 14, None),
    "other type": ("/o/type", "application/octet-stream", [], None, None),
    "other type with a length": ("/o/type2", "video/mp4", [], 14, None),
    "no type": ("/o/typeless", None, [], None, None),
    "too long": ("/o/long", "text/plain", [], LIMIT + 1, None),
    "no-store": ("/o/unstored", "text/plain", ["Cache-Control: no-store"], None, None),
    "aged": ("/o/aged", "text/plain", ["Age: 5"], None, None),
    "kept": ("/o/kept", "text/plain", ['ETag: "theirs"'], None, lambda tag: tag == '"theirs"'),
    "headers": ("/o/headers", "text/plain", ["X-Revision: 1"], None, is_headers),
    "version": ("/o/version", "text/plain", [], None, is_version),
    "version where content would do": ("/o/on", "application/json", [], None, is_version),
    "off": ("/o/nothing", "text/plain", [], None, None),
}


@pytest.mark.parametrize("version", ["1.1", "1.0"])
@pytest.mark.parametrize("name", SILENT)
def test_nothing_waits_on_a_silent_backend(server, name, version):
    """The beginning arrives while the backend waits for the word of the test."""
    path, media, fields, length, tagged = SILENT[name]
    rest = bytes(length - 7) if length else b" and the rest"
    signal = f"{path}{version}"
    server.origin.on(path, held_back(b"first, ", rest, *fields, media=media, length=length, signal=signal))
    with Reader(server.port) as reader:
        answer = reader.ask(path, version=version).begin()
        reader.arrived(b"first, ")
        assert not server.origin.said(signal)
        server.origin.say(signal)
        assert reader.rest().body == b"first, " + rest
    if tagged and version == "1.1":
        assert tagged(answer.etag), answer
    elif not tagged:
        assert answer.etag is None, answer


@pytest.mark.parametrize("condition, status", [(("If-None-Match", '"theirs"'), 304), (("If-Match", '"other"'), 412)])
@pytest.mark.parametrize("media, length", [("text/event-stream", None), ("text/plain", None), ("text/plain", 5_000_000),
                                           ("video/mp4", 5_000_000), ("text/plain", 50_000)])
def test_conditions_do_not_wait_either(server, media, length, condition, status):
    """The header is enough to decide; the backend, whose conditions were withheld, still holds its body back."""
    path = f"/o/decided-{status}-{media[-6:]}-{length}"
    server.log.expect("proxy|AH0", optional=True)
    rest = bytes(length - 7) if length else b" and the rest"
    server.origin.on(path, held_back(b"first, ", rest, 'ETag: "theirs"', media=media, length=length, signal=path))
    with Reader(server.port) as reader:
        try:
            answer = reader.ask(path, [condition]).begin()
            assert answer.status == status and not server.origin.said(path)
        finally:
            server.origin.say(path)
        reader.rest()
        for tag, expected in (('"theirs"', 304), ('"x"', 200)):
            again = reader.request("GET", path, [("If-None-Match", tag)])
            assert again.status == expected, "the connection is out of step"


@pytest.mark.parametrize("media", ["text/event-stream", "application/octet-stream"])
def test_each_event_on_its_own(server, media):
    """Twenty rounds: the next event is sent when the client has read the one before."""
    path = f"/o/rounds-{media[-5:]}"

    def run(exchange):
        exchange.head("Transfer-Encoding: chunked", media=media)
        for number in range(20):
            exchange.chunk(b"event %02d\n" % number)
            exchange.wait(f"{path}{number}")
        exchange.end()

    server.origin.on(path, run)
    with Reader(server.port) as reader:
        assert reader.ask(path).begin().etag is None
        for number in range(20):
            reader.arrived(b"event %02d\n" % number)
            server.origin.say(f"{path}{number}")
        assert len(reader.rest().body) == 20 * 9
    assert server.why(reader.answer) == ("stream" if "event" in media else "type")


@pytest.mark.parametrize("media", ["text/plain", "application/json"])
def test_trickling_text(server, media):
    """The client gets the beginning after the wait limit, before the end, and then every line as it comes."""
    path = f"/o/trickle-{media[-4:]}"
    server.origin.on(path, trickle(b"a line\n", 0.02, media=media, signal=path))
    with Reader(server.port) as reader:
        answer = reader.ask(path).begin()
        reader.arrived(b"a line\n")
        assert answer.etag is None and not server.origin.said(path)
        for _ in range(5):  # streaming by now
            reader.arrived(len(reader.body) + 7)
        server.origin.say(path)
        body = reader.rest().body
    assert body.endswith(b"a line\nend\n") and body == b"a line\n" * (len(body) // 7) + b"end\n"
    assert server.why(reader.answer) == "stream"


def test_trickle_with_a_length_is_waited_for(server):
    """With a known length within the limit the end is certain to come, so there is a tag."""
    body = b"a line\n" * 20

    def run(exchange):
        exchange.head(f"Content-Length: {len(body)}")
        for start in range(0, len(body), 7):
            exchange.send(body[start:start + 7])
            exchange.pause(0.07)

    server.origin.on("/o/patient", run)
    answer = server.get("/o/patient")
    assert answer.body == body and is_content(answer.etag), server.why(answer)


def test_flushes_are_swallowed(server):
    """Small pieces soon after each other are one body."""
    body = b"".join(cut(random.Random(1).randbytes(4000), 1, 90))

    def run(exchange):
        exchange.head("Transfer-Encoding: chunked")
        for piece in cut(body, 1, 400):
            exchange.chunk(piece)
            exchange.pause(0.005)
        exchange.end()

    def whole():
        answer = server.get("/o/pieces")
        assert answer.body == body
        return is_content(answer.etag)

    server.origin.on("/o/pieces", run)
    until(whole, "a turn in which the origin is quick enough")


def test_upgrades(server):
    """101 Switching Protocols: bytes in both directions, no tag."""
    def run(exchange):
        exchange.head("Upgrade: websocket", "Connection: Upgrade", status="101 Switching Protocols", media=None)
        exchange.echo()

    server.origin.on("/socket/x", run)
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as s:
        s.sendall(request_bytes("GET", "/socket/x", [("Upgrade", "websocket"), ("Connection", "Upgrade"),
                                                     ("If-None-Match", '"c0123456789012345678901"')],
                                request_id="switched"))
        head = b""
        while b"\r\n\r\n" not in head:
            head += s.recv(1000)
        assert head.startswith(b"HTTP/1.1 101") and b"etag" not in head.lower()
        for word in (b"hello", b"again"):
            s.sendall(word)
            got = b""
            while len(got) < 5:
                got += s.recv(100)
            assert got == word.upper()
    until(lambda: "switched\t101" in (server.root / "logs/access.log").read_text(), "the connection's end in the log")


def test_interim_responses(server):
    """103 arrives while the response itself has not begun; the response has its tag."""
    def run(exchange):
        exchange.send("HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n")
        exchange.wait("hinted")
        script_of("the page\n")(exchange)

    server.origin.on("/o/hints", run)
    with Reader(server.port) as reader:
        reader.ask("/o/hints")
        assert reader._until(b"\r\n\r\n").startswith(b"HTTP/1.1 103"), "the hint did not come first"
        server.origin.say("hinted")
        answer = reader.begin()
        assert is_content(answer.etag) and reader.rest().text == "the page\n"
    again = server.get("/o/hints", tag=answer.etag)
    assert again.status == 304 and server.why(again) == "late-304"


# --- programs that take their time, and HTTP/2 ---------------------------------------------------

PROGRAMS = """
Timeout 300
ETagVersionSecret the-same-on-all-hosts
Protocols h2c http/1.1
ScriptAlias /cgi/ "@ROOT@/cgi/"
WSGIDestroyInterpreter Off
WSGIScriptAlias /wsgi @ROOT@/app.wsgi
ProxyPass /o/ @ORIGIN@/o/ disablereuse=on
<Location />
  ETagVersion Content
</Location>
"""
# Says something, and the rest when the file is there; or one line after the other until then.
SILENT_CGI = """#!/bin/sh
printf 'Content-Type: %s\\r\\n\\r\\nfirst\\n' "$QUERY_STRING"
until test -e "$GO"; do sleep 0.02; done
echo last
"""
TRICKLING_CGI = SILENT_CGI.replace("sleep", "echo more; sleep")
WSGI = """
import os, time

def application(environ, start_response):
    start_response("200 OK", [("Content-Type", environ["QUERY_STRING"])])
    yield b"first\\n"
    while not os.path.exists({go!r}):
        if environ["PATH_INFO"] == "/trickling":
            yield b"more\\n"
        time.sleep(0.02)
    yield b"last\\n"
"""


@pytest.fixture(scope="module", params=["event", "prefork"])
def programs(request, shared_httpd, shared_origin):
    origin, event = shared_origin(), request.param == "event"
    server = shared_httpd(PROGRAMS.replace("@ORIGIN@", origin.url) + 'SetEnv GO "@ROOT@/go"\n'
                          + ("ScriptSock @ROOT@/run/cgisock\n" if event else ""),
                          f"proxy alias env wsgi {'h2 cgid' if event else 'cgi'}", mpm=request.param, start=False)
    server.origin = origin
    server.write("cgi/silent.sh", SILENT_CGI, 0o755)
    server.write("cgi/trickling.sh", TRICKLING_CGI, 0o755)
    server.write("app.wsgi", WSGI.format(go=str(server.root / "go")))
    return server.start()


def test_conditions_of_programs_do_not_wait(programs):
    """A 304 or 412 for a program that goes on for ever."""
    programs.write("cgi/endless.sh", "#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\nETag: \"theirs\"\\r\\n\\r\\n'\n"
                                     "exec yes\n", 0o755)
    for method in ("GET", "HEAD"):
        answer = programs.request(method, "/cgi/endless.sh", [("If-None-Match", '"theirs"')])
        assert (answer.status, answer.etag) == (304, '"theirs"')
        answer = programs.request(method, "/cgi/endless.sh", [("If-Match", '"other"')])
        assert answer.status == 412


@pytest.mark.parametrize("media, target", [
    (media, target) for media in ("text/event-stream", "application/octet-stream")
    for target in ("/cgi/silent.sh", "/wsgi/silent")] + [
    ("text/plain", "/cgi/trickling.sh"), ("application/json", "/wsgi/trickling")])
def test_programs_that_take_their_time(programs, media, target):
    """The client has the beginning before the program may end."""
    go = programs.root / "go"
    go.unlink(missing_ok=True)
    with Reader(programs.port) as reader:
        answer = reader.ask(f"{target}?{media}").begin()
        reader.arrived(b"first\n")
        assert answer.etag is None and not go.exists()
        if "trickling" in target:
            for _ in range(3):
                reader.arrived(len(reader.body) + 5)
        go.touch()
        assert reader.rest().body.endswith(b"last\n")
    why = "type" if "octet" in media else "stream"
    assert programs.why(reader.answer) == why
    assert is_content(programs.get(f"{target}?text/plain").etag), "with the file there it is soon over"


@pytest.mark.parametrize("programs", ["event"], indirect=True)  # prefork does not speak it
def test_http2(programs):
    """Streams of HTTP/2 are no other streams."""
    for name, script in (("events", held_back(b"first\n", b"last\n", media="text/event-stream", signal="h2")),
                         ("lines", trickle(b"first\n", 0.02, signal="h2 lines"))):
        programs.origin.on(f"/o/{name}", script)
        command = [places.program("curl"), "-sN", "--http2-prior-knowledge", "--max-time", str(int(PATIENCE)),
                   f"http://127.0.0.1:{programs.port}/o/{name}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as run:
            assert run.stdout.readline() == b"first\n" and not programs.origin.said("h2 lines")
            programs.origin.say("h2" if name == "events" else "h2 lines")
            assert run.stdout.read().endswith(b"last\n" if name == "events" else b"end\n")
    body = random.Random(4).randbytes(300_000)
    programs.origin.on("/o/whole", script_of(body, how="chunked", pieces=cut(body, 1, 5000)))
    answer = programs.get("/o/whole", proto="h2")
    assert answer.body == body and is_content(answer.etag)
    assert programs.get("/o/whole", tag=answer.etag, proto="h2").status == 304
