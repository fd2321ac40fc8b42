# SPDX-License-Identifier: Apache-2.0
"""Chromium without a window, driven through WebDriver, and what each navigation fetched from the wire.

The browser speaks to this machine alone: every other name fails to resolve. Its profile, home and temporary files
are in a folder of their own that goes with it.
"""
import base64
import json
import os
from urllib.parse import urlsplit

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

from . import places
from .wait import PATIENCE, until

# As root there is no sandbox; the rest keeps the browser from calling home and from asking for hardware.
_OPTIONS = """--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
--disable-component-update --disable-sync --disable-dev-shm-usage --disable-default-apps --disable-extensions
--window-size=1200,900 --force-device-scale-factor=1""".split()
_LOCAL_ONLY = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE *.localhost, EXCLUDE 127.0.0.1"
_ENDS = ("Network.loadingFinished", "Network.loadingFailed")


class Load:
    """One answer that a page used: from the wire (then `status` is what the server said, 304 too) or not."""

    def __init__(self, request, kind, request_id):
        self.url, self.method, self.kind, self.request_id = request["url"], request["method"], kind, request_id
        self.path = _path(self.url)
        self.status = None       # None: nothing was sent
        self.shown = None        # the status that the page sees: 200 for a 304 that the cache fills up
        self.cached = False      # the page got bytes of the browser's cache
        self.bytes = 0           # that came over the wire, head and body, as Chromium counts
        self.sent, self.headers = {}, {}  # of the request and the answer on the wire, names in lower case
        self.failed = None

    def answered(self, response, on_wire):
        self.shown = response["status"]
        self.status = response["status"] if on_wire else None
        self.cached = not on_wire
        self.headers = _lower(response["headers"])
        self.bytes = response.get("encodedDataLength", 0) if on_wire else 0

    def wired(self, sent, received):
        self.sent, self.headers = _lower(sent["headers"]), _lower(received["headers"])
        self.status = received["statusCode"]
        # A script that sends a condition of its own gets the bare 304.
        self.cached = self.status == 304 and not (self.kind == "Fetch" and self.shown == 304)

    def row(self):
        return {"method": self.method, "url": self.path, "status": self.status, "cached": self.cached,
                "bytes": self.bytes, "etag": self.headers.get("etag"), "coding": self.headers.get("content-encoding")}

    def __repr__(self):
        how = self.failed or ("cache" if self.status is None else self.status)
        return f"<{self.method} {self.path} {how}{' cached' if self.cached else ''} {self.bytes} B>"


class Visit(list):
    """What a navigation fetched, in order."""

    def of(self, path, method="GET"):
        """The load of a path; a failure unless there was exactly one."""
        found = [load for load in self if load.path == path and load.method == method]
        assert len(found) == 1, f"{method} {path}: {len(found)} times in {self}"
        return found[0]

    def statuses(self):
        """Of each path, what the server answered last; None where only the browser's cache did."""
        return {load.path: load.status for load in self}

    @property
    def bytes(self):
        return sum(load.bytes for load in self)

    def rows(self):
        return [load.row() for load in self]


class _Listener:
    """Makes loads of the events of the network. An answer's own events and those of the wire come in any order."""

    def __init__(self):
        self.loads, self.open, self.navigated = Visit(), {}, False
        self._sent, self._received, self._hops, self._in_memory = {}, {}, {}, set()

    def hear(self, method, params):
        request_id = params.get("requestId")
        if method == "Page.frameNavigated" and not params["frame"].get("parentId"):
            self.navigated = True
        elif method == "Network.requestWillBeSent" and params["request"]["url"].startswith("http"):
            self._begins(request_id, params)
        elif method == "Network.requestWillBeSentExtraInfo":
            self._sent.setdefault(request_id, []).append(params)
        elif method == "Network.responseReceivedExtraInfo":
            self._received.setdefault(request_id, []).append(params)
        elif request_id in self.open:
            self._goes_on(method, params, self.open[request_id])

    def _begins(self, request_id, params):
        if "redirectResponse" in params and request_id in self.open:
            self._answered(self.open[request_id], params["redirectResponse"], params["redirectHasExtraInfo"])
        self.open[request_id] = Load(params["request"], params.get("type"), request_id)
        self.loads.append(self.open[request_id])

    def _goes_on(self, method, params, load):
        if method == "Network.requestServedFromCache":
            self._in_memory.add(load.request_id)
        elif method == "Network.responseReceived":
            # What comes out of memory tells again what it once was told.
            on_wire = params["hasExtraInfo"] and load.request_id not in self._in_memory
            self._answered(load, params["response"], on_wire and not params["response"].get("fromDiskCache"))
        elif method in _ENDS:
            load.failed = params.get("errorText")
            if load.status is not None:
                load.bytes = max(load.bytes, params.get("encodedDataLength", 0))
            del self.open[load.request_id]

    def _answered(self, load, response, on_wire):
        load.answered(response, on_wire)
        if on_wire:
            self._hops.setdefault(load.request_id, []).append(load)

    def is_quiet(self):
        """Everything that began has ended, and of every answer is known what the wire carried."""
        return not self.open and all(
            len(self._received.get(key, ())) >= len(hops) <= len(self._sent.get(key, ()))
            for key, hops in self._hops.items())

    def result(self):
        for key, hops in self._hops.items():
            for load, sent, received in zip(hops, self._sent[key], self._received[key]):
                load.wired(sent, received)
        return self.loads


class Browser:
    """One browser with an empty profile. `options` are Chromium's own."""

    def __init__(self, *options):
        self.root = places.new_folder("etv-b-")
        chosen = webdriver.ChromeOptions()
        chosen.binary_location = places.program("chromium", "chromium-browser")
        for option in (*_OPTIONS, _LOCAL_ONLY, f"--user-data-dir={self.root}/profile", *options):
            chosen.add_argument(option)
        # Debian's first page is one of the internet.
        chosen.add_experimental_option("prefs", {"session.restore_on_startup": 4,
                                                 "session.startup_urls": ["about:blank"]})
        chosen.set_capability("goog:loggingPrefs", {"performance": "ALL"})
        self.driver = None
        try:
            self.driver = webdriver.Chrome(service=Service(places.program("chromedriver"), env=self._env()),
                                           options=chosen)
            self.driver.set_page_load_timeout(PATIENCE)
            self.driver.set_script_timeout(PATIENCE)
        except BaseException:
            self.close()
            raise

    def _env(self):
        keep = {k: v for k, v in os.environ.items() if k in ("PATH", "LANG")}
        return {**keep, "HOME": str(self.root), "TMPDIR": str(self.root), "XDG_CONFIG_HOME": f"{self.root}/config",
                "XDG_CACHE_HOME": f"{self.root}/cache"}

    def close(self):
        if self.driver:
            self.driver.quit()
            self.driver = None
        places.remove_folder(self.root)

    def forget(self):
        """As if it were new: no cache, no cookies, no history to go back to."""
        old = self.driver.current_window_handle
        self.cdp("Network.clearBrowserCache")
        self.cdp("Network.clearBrowserCookies")
        self.driver.switch_to.new_window("tab")
        new = self.driver.current_window_handle
        self.driver.switch_to.window(old)
        self.driver.close()
        self.driver.switch_to.window(new)
        return self

    def cdp(self, command, **params):
        return self.driver.execute_cdp_cmd(command, params)

    # -- navigation: each returns a Visit --------------------------------------------------------

    def open(self, url, ready=None):
        """As typed into the address bar. `ready`: a JavaScript expression that is true when the page has all."""
        return self.during(lambda: self.driver.get(url), ready)

    def reload(self, ready=None):
        return self.during(self.driver.refresh, ready)

    def back(self, ready=None):
        return self.during(self.driver.back, ready)

    def forward(self, ready=None):
        return self.during(self.driver.forward, ready)

    def click(self, css, ready=None):
        """Click on something that leads to another page."""
        return self.during(self.element(css).click, ready)

    def submit(self, css, ready=None, **fields):
        """Fill in a form by hand and send it with its button."""
        for name, text in fields.items():
            field = self.element(f"{css} [name={name}]")
            field.clear()
            field.send_keys(text)
        return self.click(f"{css} [type=submit]", ready)

    def during(self, action, ready=None, navigates=True):
        """What was fetched from the start of an action until the page has come to rest."""
        self._listen(_Listener())
        listener = _Listener()
        action()

        def at_rest():
            self._listen(listener)
            return ((listener.navigated or not navigates) and self.js("return document.readyState") == "complete"
                    and (not ready or self.js(f"return !!({ready})")) and self._listen(listener).is_quiet())
        until(at_rest, lambda: f"{self.driver.current_url} to be loaded: {listener.loads}, open {listener.open},"
                               f" {self.js('return document.body.innerText')[:500]}")
        return listener.result()

    def _listen(self, listener):
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            listener.hear(message["method"], message["params"])
        return listener

    # -- the page --------------------------------------------------------------------------------

    def js(self, script, *args):
        return self.driver.execute_script(script, *args)

    def element(self, css):
        return self.driver.find_element(By.CSS_SELECTOR, css)

    def path(self):
        return _path(self.driver.current_url)

    def text(self, css="body"):
        return self.element(css).text

    def fetch(self, path, cache="default"):
        """fetch() by a script of the page: its visit, and the body as the script sees it."""
        body = []

        def ask():
            body.append(self.driver.execute_async_script(
                "const done = arguments[2]; fetch(arguments[0], {cache: arguments[1]})"
                ".then(answer => answer.text()).then(done, error => done('no answer: ' + error));", path, cache))
        visit = self.during(ask, navigates=False)
        return visit, body[0]

    def screenshot(self, name):
        """The whole page, as an artefact."""
        shot = self.cdp("Page.captureScreenshot", captureBeyondViewport=True, format="png")
        return write_artefact(f"{name}.png", base64.b64decode(shot["data"]))


def artefacts():
    """Where screenshots and figures are kept: beside the variants of the build."""
    folder = places.etv_module().parent
    if folder.parent != places.REPO:
        folder = folder.parent
    folder = places.Path(os.environ.get("ETV_ARTEFACTS") or folder / "artefacts")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def write_artefact(name, content):
    """Whole or not at all: tests beside each other write into the same folder."""
    path = artefacts() / name
    new = path.with_name(f".{name}.{os.getpid()}")
    new.write_bytes(content if isinstance(content, bytes) else content.encode())
    os.replace(new, path)
    return path


def _path(url):
    parts = urlsplit(url)
    return parts.path + (f"?{parts.query}" if parts.query else "")


def _lower(headers):
    return {name.lower(): value for name, value in headers.items()}
