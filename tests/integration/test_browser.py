# SPDX-License-Identifier: Apache-2.0
"""A real browser in front: what it keeps, asks again, and shows."""
import json
import os
import re
import signal
import subprocess
import sys

import pytest

from harness import places
from harness.backend import Reply
from harness.figures import Story
from harness.lab import USERS
from harness.tags import coding as tag_coding, letter, names
from harness.wait import until


@pytest.fixture(scope="module", name="chromium")
def fixture_chromium(shared_browser):
    return shared_browser()


@pytest.fixture
def browser(chromium):
    """As if it were new."""
    return chromium.forget()


@pytest.fixture(scope="module")
def browser_without_bfcache(shared_browser):
    """Another profile, and a back button that has to load."""
    return shared_browser("--disable-features=BackForwardCache")


# --- the demo -------------------------------------------------------------------------------------

class Demo:
    """scripts/demo.py as a person starts it; `url` is the page that it serves after its story."""

    def __init__(self):
        self.build = places.etv_module().parent
        self.root = places.new_folder("etv-d-")
        self.output = self.root / "output.log"
        env = {**os.environ, "BUILD": str(self.build), "ONCE": "0"}
        with open(self.output, "wb") as output:
            self.process = subprocess.Popen([sys.executable, str(places.REPO / "scripts/demo.py")], env=env,
                                            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
        try:
            self.url = until(self._page, self._said)
        except BaseException:
            self.close()
            raise

    def _said(self):
        return self.output.read_text(errors="replace")

    def _page(self):
        assert self.process.poll() is None, f"the demo ended by itself:\n{self._said()}"
        found = re.search(r"http://localhost:\d+/", self._said())
        return found and found.group()

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(30)
        said = self._said()
        places.remove_folder(self.root)
        assert status == 0, f"the demo ended with {status}:\n{said}"
        port = re.search(r"http://localhost:(\d+)/", said).group(1)
        log = (self.build / "demo" / port / "error.log").read_text(errors="replace")
        assert not re.search(r"etag_version:|exit signal", log), f"the demo's error log:\n{log}"


@pytest.fixture
def demo():
    made = Demo()
    yield made
    made.close()


def test_demo_page(demo, browser):
    """Its three buttons, as a person presses them: 200, 304 without the application, new data after the edit."""
    story = Story("demo", "The demo page")
    story.add("the page", browser.open(demo.url, "document.getElementById('calls').textContent !== '0'"), "–")

    def press(button, rows, what):
        calls = int(browser.text("#calls"))
        visit = browser.during(browser.element(f"#{button}").click, navigates=False, ready=(
            f"document.querySelectorAll('#rows tr').length === {rows} && !document.getElementById('load').disabled"))
        more = int(browser.text("#calls")) - calls
        story.add(what, visit, more)
        return visit, more

    visit, more = press("load", 1, "load the list")
    assert (visit.of("/api/spectra/").status, more) == (200, 1) and visit.of("/api/spectra/").bytes > 100_000
    visit, more = press("again", 2, "load it again")
    assert (visit.of("/api/spectra/").status, more) == (304, 0) and visit.of("/api/spectra/").bytes < 1000
    before = browser.text("#summary")
    press("edit", 4, "edit a protein")
    visit, more = press("again", 5, "load it again after the edit")
    assert (visit.of("/api/spectra/").status, more) == (200, 1)
    assert browser.text("#summary") != before, "the page does not show the new data"
    visit, more = press("again", 6, "and again")
    assert (visit.of("/api/spectra/").status, more) == (304, 0)
    assert browser.text("#hits") == "2"
    browser.screenshot("demo")
    story.keep()


# --- the example ----------------------------------------------------------------------------------

LISTED = "document.getElementById('status').dataset.state === 'ready'"
DRAWN = "document.getElementById('lineage').dataset.state === 'ready'"
READY = {"/proteins/": LISTED, "/proteins/egfp/": DRAWN}  # of pages with a script that loads more

# The same site under other names, which browsers resolve to this machine. Under its own it compresses with brotli.
OTHER_SITES = """
ETagVersionStoreTimeout connect=5s command=5s
<VirtualHost *:*>
  ServerName plain.localhost
  SetEnv no-brotli 1
  SetEnv no-gzip 1
</VirtualHost>
<VirtualHost *:*>
  ServerName gzip.localhost
  SetEnv no-brotli 1
</VirtualHost>
<VirtualHost *:*>
  ServerName cached.localhost
  CacheRoot "@CACHE@"
  CacheEnable disk /
  CacheHeader On
</VirtualHost>
"""


@pytest.fixture(scope="module", name="lab")
def fixture_lab(shared_lab):
    folder = places.writable(places.new_folder())
    yield shared_lab(conf=OTHER_SITES.replace("@CACHE@", str(folder)), modules="cache_disk")
    places.remove_folder(folder)


class Site:
    """The example as a browser sees it, and how often Django was called for what."""

    def __init__(self, lab, browser, name="localhost"):
        self.lab, self.browser, self.url = lab, browser, f"http://{name}:{lab.port}"
        self.counted = lab.calls()

    def open(self, path):
        return self.browser.open(self.url + path, READY.get(path))

    def reload(self):
        path = self.browser.path()
        return self.browser.reload(READY.get(path))

    def calls(self):
        """Since the last time that this was asked: `METHOD path` of each."""
        lines = [f"{method} {target}" for method, target, *_ in self.lab.call_lines()]
        news, self.counted = lines[self.counted:], len(lines)
        return news

    def log_in(self, user):
        self.open("/accounts/login/")
        self.browser.submit("#form", username=user, password=USERS[user])
        assert self.browser.text("#username") == user

    def log_out(self):
        self.open("/accounts/logout/")
        self.browser.click("#submit")
        assert self.browser.element("#login")


@pytest.fixture
def site(lab, browser):
    return Site(lab, browser)


def assert_unchanged(visit, path):
    """The page was asked for and had not changed; nothing else came over the wire either."""
    assert visit.of(path).status == 304
    assert set(visit.statuses().values()) <= {304, None}, visit
    assert all(load.bytes < 1000 for load in visit)


@pytest.mark.parametrize("path, more", [
    ("/", []), ("/proteins/", ["/api/spectra/"]), ("/references/", []),
    ("/proteins/egfp/", ["/proteins/egfp/image.png", "/proteins/egfp/lineage.json"])])
def test_second_visit_and_reload_do_not_call_django(site, path, more):
    site.lab.tagged(path)  # the version of an object is made when it is rendered for the first time
    site.calls()
    name = path.strip("/").replace("/", "-") or "home"
    story = Story(f"visits-{name}", f"The example's page {path}")
    visit = site.open(path)
    assert all(visit.of(each).status == 200 for each in [path, *more])
    calls = site.calls()
    assert sorted(calls) == sorted(f"GET {each}" for each in [path, *more])
    story.add("first visit", visit, len(calls))
    shown = site.browser.text()
    if path != "/references/":
        site.browser.screenshot(name)
    for what in ("second visit", "reload", "visit after it"):
        visit = site.reload() if what == "reload" else site.open(path)
        assert_unchanged(visit, path)
        assert all(visit.of(each).status == 304 for each in more)
        assert site.browser.text() == shown
        calls = site.calls()
        assert not calls
        story.add(what, visit, len(calls))
    story.keep()


def test_edit_in_the_page_is_seen_at_once(site):
    """Whatever shows the protein is rendered once more, and nothing else is."""
    browser, new = site.browser, "EGFP as edited"
    pages, other = ["/proteins/", "/", "/references/"], "/proteins/mcherry/"
    story = Story("edit", "A protein is edited in the page")
    site.log_in("alice")
    for path in ["/proteins/egfp/", other, *pages]:
        site.lab.tagged(path)
        site.open(path)
        assert_unchanged(site.open(path), path)
    site.open("/proteins/egfp/")
    browser.click("#edit")
    browser.screenshot("edit")
    site.calls()
    calls = []

    def told(what, visit):
        made = site.calls()
        story.add(what, visit, len(made))
        calls.extend(made)
        return visit

    visit = told("save, and the page that follows", browser.submit("#form", DRAWN, name=new, year="2031"))
    assert visit.of("/proteins/egfp/edit/", "POST").status == 302 and visit.of("/proteins/egfp/").status == 200
    assert browser.text("#name") == new
    for path in pages:
        assert told(f"next visit of {path}", site.open(path)).of(path).status == 200
        assert new in browser.text("main")
    visit = told("another protein", site.open(other))
    assert visit.statuses() == {**visit.statuses(), other: 304, f"{other}image.png": 304, f"{other}lineage.json": 200}
    assert sorted(calls) == sorted(["POST /proteins/egfp/edit/"] + [f"GET {path}" for path in [
        *pages, "/api/spectra/", "/proteins/egfp/", "/proteins/egfp/image.png", "/proteins/egfp/lineage.json",
        f"{other}lineage.json"]])
    for path in ["/proteins/egfp/", other, *pages]:
        assert_unchanged(told(f"and again {path}", site.open(path)), path)
        assert path == other or new in browser.text("main")
    assert len(calls) == 9
    story.keep()


def test_fetch_by_a_script_is_revalidated(site):
    """The script knows nothing of tags: the browser sends them, and hands over what it has."""
    browser = site.browser
    first = site.open("/proteins/").of("/api/spectra/")
    assert first.kind == "Fetch" and first.status == 200
    number = browser.text("#status")
    for again in (lambda: site.open("/proteins/"), site.reload):
        load = again().of("/api/spectra/")
        assert load.status == 304 and load.sent["if-none-match"] == first.headers["etag"] and load.bytes < 1000
        assert browser.text("#status") == number
    site.calls()
    _, body = browser.fetch("/api/spectra/")
    spectrum = json.loads(body)[0]
    assert not site.calls()
    site.lab.scenario("save_spectrum", id=spectrum["id"], name="Renamed spectrum")
    site.calls()
    visit, body = browser.fetch("/api/spectra/")
    assert visit.of("/api/spectra/").status == 200 and json.loads(body)[0]["name"] == "Renamed spectrum"
    assert site.calls() == ["GET /api/spectra/"]
    visit = site.open("/proteins/")
    assert_unchanged(visit, "/proteins/")
    assert "Renamed spectrum" in browser.text("#spectra") and not site.calls()


def went_back(browser, kept):
    """Whether the browser had kept the page as a whole (then its marks are still there)."""
    assert browser.js("return window.marked === true") == kept


@pytest.mark.parametrize("kept", [True, False], ids=["bfcache", "no-bfcache"])
def test_back_and_forward(lab, browser, browser_without_bfcache, kept):
    """The history shows what was there, also with neither a cache of pages nor a request; a reload shows what is."""
    browser = browser if kept else browser_without_bfcache.forget()
    site = Site(lab, browser)
    site.log_in("alice")
    site.open("/proteins/")
    browser.js("window.marked = true")
    name = browser.text("#proteins a[href='/proteins/mkate2/']")
    browser.click("a[href='/proteins/mkate2/']", DRAWN)
    assert browser.text("#name") == name
    browser.js("window.marked = true")
    site.calls()
    browser.back(LISTED)
    went_back(browser, kept)
    assert browser.path() == "/proteins/" and browser.text("#proteins a[href='/proteins/mkate2/']") == name
    browser.forward(DRAWN)
    went_back(browser, kept)
    assert browser.path() == "/proteins/mkate2/" and browser.text("#name") == name
    assert not site.calls()
    browser.click("#edit")
    new = f"mKate2 edited, {'kept' if kept else 'not kept'}"
    browser.submit("#form", DRAWN, name=new)
    assert browser.text("#name") == new
    while browser.path() != "/proteins/":
        browser.back()
    site.reload()
    assert browser.text("#proteins a[href='/proteins/mkate2/']") == new
    browser.forward(DRAWN)
    site.reload()
    browser.reload(DRAWN)
    assert browser.text("#name") == new


def test_logout_leaves_nothing_of_the_user(site):
    """Same URLs, same browser: alice, nobody, bob. The back button may show memories until the page is loaded again."""
    browser, pages = site.browser, ["/", "/proteins/egfp/"]

    def shows(path, user):
        assert browser.path() == path
        others = set(USERS) - {user}
        assert not [other for other in others if other in browser.text()], f"{path} of somebody else, for {user}"
        assert (user or "Not logged in") in browser.text("#who")

    for path in pages:
        site.lab.tagged(path)
        site.open(path)
        shows(path, None)
    site.log_in("alice")
    for path in pages:
        site.open(path)
        shows(path, "alice")
        assert_unchanged(site.open(path), path)
        shows(path, "alice")
    site.open("/accounts/profile/")
    assert "alice@example.org" in browser.text()
    browser.screenshot("profile")
    site.open("/")
    browser.screenshot("home-alice")
    site.log_out()
    shows("/", None)
    for _ in range(2):  # the page with the button, then the home page of alice
        browser.back()
    assert browser.path() == "/"
    site.reload()
    shows("/", None)
    for path in pages:
        site.open(path)
        shows(path, None)
    site.open("/accounts/profile/")
    assert browser.path().startswith("/accounts/login/") and "alice" not in browser.text()
    site.log_in("bob")
    for path in pages:
        site.open(path)
        shows(path, "bob")
        assert_unchanged(site.open(path), path)
        shows(path, "bob")
    site.open("/accounts/profile/")
    assert "bob@example.org" in browser.text() and "alice" not in browser.text()


@pytest.mark.parametrize("coding, name, most", [
    (None, "plain.localhost", 250_000), ("gzip", "gzip.localhost", 40_000), ("br", "localhost", 40_000)],
    ids=["plain", "gzip", "brotli"])
def test_codings(lab, browser, coding, name, most):
    """Compressed on the wire, tags with the coding's name, and after the 304 the page is whole again."""
    site = Site(lab, browser, name)
    story = Story(f"list-{coding or 'plain'}", f"The list of proteins and spectra, {coding or 'not compressed'}")
    paths, tags = ["/proteins/", "/api/spectra/", "/static/app.css"], {}
    visit = site.open("/proteins/")
    for path in paths:
        load = visit.of(path)
        assert load.status == 200 and load.headers.get("content-encoding") == coding
        tags[path] = load.headers["etag"]
        assert tag_coding(tags[path]) == (f"-{coding}" if coding else "")
    assert most / 5 < visit.bytes < most
    shown = browser.text()
    story.add("first visit", visit, len(site.calls()))
    for what, again in (("second visit", lambda: site.open("/proteins/")), ("reload", site.reload)):
        visit = again()
        assert_unchanged(visit, "/proteins/")
        for path in paths:
            load = visit.of(path)
            assert load.status == 304 and load.sent["if-none-match"] == load.headers["etag"] == tags[path]
        assert browser.text() == shown and not site.calls()
        story.add(what, visit, 0)
    _, body = browser.fetch("/api/spectra/")
    assert body == lab.get("/api/spectra/").text, "not what the application said"
    story.keep()


def assert_stored(lab, load, host):
    """mod_cache may still be writing when the browser has everything: ask as the browser did until it is there."""
    own = ("host", "connection", "if-none-match", "cache-control", "pragma")
    headers = [(name, value) for name, value in load.sent.items() if name not in own]
    until(lambda: lab.get(load.path, headers, host=f"{host}:{lab.port}").one("X-Cache").startswith("REVALIDATE"),
          f"mod_cache to store {load}")


def test_mod_cache_serves_the_next_browser(lab, browser, browser_without_bfcache):
    """What one browser made it store, another gets: compared by the module, without a call of Django."""
    story = Story("mod-cache", "mod_cache in front, two browsers")
    one, two = (Site(lab, each, "cached.localhost") for each in (browser, browser_without_bfcache.forget()))
    page, spectra = "/proteins/", "/api/spectra/"

    def visits(site, what, status, verdict, calls):
        """The page is private, so each browser's first one calls Django; the list is everybody's."""
        for each in (one, two):
            each.calls()
        visit = site.open(page)
        load = visit.of(spectra)
        assert load.status == status and load.headers.get("x-cache", "").split(" ")[0] == verdict, load.headers
        made = site.calls()
        story.add(what, visit, len(made))
        assert made == calls
        if verdict == "MISS":
            assert_stored(lab, load, "cached.localhost")

    visits(one, "the first browser", 200, "MISS", [f"GET {page}", f"GET {spectra}"])
    visits(two, "the second browser", 200, "REVALIDATE", [f"GET {page}"])
    assert two.browser.text() == one.browser.text()
    visits(two, "the second browser again", 304, "REVALIDATE", [])
    spectrum = json.loads(two.browser.fetch(spectra)[1])[0]
    lab.scenario("save_spectrum", id=spectrum["id"], name="Spectrum as edited")
    visits(one, "the first browser after an edit", 200, "MISS", [f"GET {spectra}"])
    assert "Spectrum as edited" in one.browser.text("#spectra")
    two.browser.forget()
    visits(two, "a new browser after it", 200, "REVALIDATE", [f"GET {page}"])
    assert "Spectrum as edited" in two.browser.text("#spectra")
    story.keep()


def test_immutable_pictures_are_not_asked_for_again(site):
    path, browser = "/timelapse/images/1/file.jpg", site.browser
    show = f"const image = new Image(); image.id = 'picture'; image.src = '{path}'; document.body.append(image);"
    there = "document.getElementById('picture').naturalWidth > 0"

    def shown(visit):
        site.calls()
        visit += browser.during(lambda: browser.js(show), there, navigates=False)
        return visit.of(path)

    load = shown(site.open("/references/"))
    assert load.status == 200 and "immutable" in load.headers["cache-control"]
    assert site.calls() == [f"GET {path}"]
    for again in (lambda: site.open("/references/"), site.reload):
        load = shown(again())
        assert load.status is None and load.bytes == 0 and load.cached and not site.calls()
    visit, _ = browser.fetch(path, "no-cache")  # a script that insists
    assert visit.of(path).status == 304 and visit.of(path).bytes < 1000


# --- pages whose lifetime the application itself says -----------------------------------------------

OWN_POLICY = """
ProxyPass /own/ @BACKEND@/own/
<Location />
  ETagVersion Version
  ETagVersionModels m
  ETagVersionIdentity none
</Location>
"""


@pytest.fixture(scope="module", name="small")
def fixture_small(shared_httpd, shared_backend):
    """A page that says how often it was rendered."""
    backend = shared_backend()
    server = shared_httpd(OWN_POLICY.replace("@BACKEND@", backend.url), "proxy")
    server.backend, server.url = backend, f"http://localhost:{server.port}"
    return server


def page_of(headers):
    """The backend's pages, with the number of the rendering."""
    return lambda request: Reply(headers=headers, content_type="text/html",
                                 body=f'<link rel="icon" href="data:,"><p>{request.path} {request.number}</p>')


@pytest.mark.parametrize("own", ["no-cache", "private, max-age=0"])
def test_u_tags_are_revalidated_and_keep_the_applications_lifetime(small, browser, own):
    """The 304 to a u tag says nothing of lifetimes: the browser goes by what it stored, again and again."""
    path = small.backend.on(f"/own/{own[:7]}", page_of([("Cache-Control", own)]))
    first = browser.open(small.url + path).of(path)
    assert first.status == 200 and letter(first.headers["etag"]) == "u" and first.headers["cache-control"] == own
    for again in (lambda: browser.open(small.url + path), browser.reload, lambda: browser.open(small.url + path)):
        load = again().of(path)
        assert load.status == 304 and load.headers["etag"] == first.headers["etag"]
        assert "cache-control" not in load.headers or names(load.headers["etag"])[1]
        assert browser.text("p") == f"{path} 1"
    assert small.backend.calls(path) == 1
    small.bump("m")
    assert browser.open(small.url + path).of(path).status == 200 and browser.text("p") == f"{path} 2"
    assert browser.reload().of(path).status == 304 and browser.text("p") == f"{path} 2"
    assert small.backend.calls(path) == 2


def test_u_tags_of_pages_that_may_be_kept(small, browser):
    """Within the application's lifetime the browser asks only when the user reloads."""
    path = small.backend.on("/own/kept", page_of([("Cache-Control", "max-age=600")]))
    assert letter(browser.open(small.url + path).of(path).headers["etag"]) == "u"
    assert browser.open(small.url + path).statuses() == {path: None}
    small.bump("m")
    assert browser.open(small.url + path).statuses() == {path: None} and browser.text("p") == f"{path} 1"
    assert browser.reload().of(path).status == 200 and browser.text("p") == f"{path} 2"
    assert browser.reload().of(path).status == 304
    assert browser.open(small.url + path).statuses() == {path: None} and browser.text("p") == f"{path} 2"
    assert small.backend.calls(path) == 2
