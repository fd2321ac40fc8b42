# SPDX-License-Identifier: Apache-2.0
"""The recipes of docs/recipes: applications bump what they changed, once, after the commit, never for nothing."""
import json
import re

import pytest

from harness import fastcgi, places, recipes
from harness.backend import Reply
from harness.databases import MariaDb, Postgres, Program
from harness.tags import is_version
from harness.wait import until

pytestmark = [pytest.mark.systems, pytest.mark.long]


@pytest.fixture
def closing():
    things = []
    yield things
    for thing in reversed(things):
        thing.close()


@pytest.fixture(scope="module")
def postgres():
    server = Postgres()
    yield server
    server.close()


@pytest.fixture
def mariadb():
    server = MariaDb()
    yield server
    server.close()


def folder_for(closing):
    """For a database file and a log; php-fpm's user writes there, too."""
    class Folder:
        path = places.writable(places.new_folder("etv-a-"))

        def close(self):
            places.remove_folder(self.path)
    closing.append(Folder())
    return closing[-1].path


def blocks(page, language):
    text = (places.REPO / "docs/recipes" / page).read_text()
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)


def documented(page, *replaced):
    """The configuration that a page shows first, with this test's store and addresses."""
    conf = re.sub(r"^ETagVersionStore.*\n", "", blocks(page, "apache")[0], flags=re.M)
    for old, new in replaced:
        conf, count = re.subn(old, str(new), conf)
        assert count, f"{page}: there is no {old}"
    return conf


def shop_of(make_httpd, closing, redis, conf):
    head = recipes.STORE.replace("@STORE@", redis.unix_url)
    return recipes.Shop(make_httpd(head + conf, "proxy proxy_http proxy_fcgi alias env"), redis, closing)


def php(make_httpd, closing, redis, _mariadb):
    fpm = fastcgi.PhpFpm(extensions=True)
    closing.append(fpm)
    conf = documented("php.md", ("/srv/shop", recipes.HOME / "php"), ("/run/php/php-fpm.sock", fpm.socket))
    env = f"SetEnv SHOP_REDIS {redis.socket}\nSetEnv SHOP_DB {folder_for(closing)}/shop.db\n"
    return shop_of(make_httpd, closing, redis, env + conf)


def behind_proxy(name, command, database=None):
    def make(make_httpd, closing, redis, mariadb):
        folder = folder_for(closing)
        where = mariadb.socket if database else folder / "shop.db"
        program, port = recipes.run_app(command, folder, name, SHOP_REDIS=redis.socket, SHOP_DB=where,
                                        NODE_PATH="/usr/share/nodejs", RUBYOPT="-W0")
        closing.append(program)
        conf = documented(f"{name}.md", (r"http://127\.0\.0\.1:\d+", f"http://127.0.0.1:{port}"))
        return shop_of(make_httpd, closing, redis, conf)
    return make


RACK = """
require "rack"
begin
  require "rackup/handler/webrick" # Rack 3
  handler = Rackup::Handler::WEBrick
rescue LoadError
  require "rack/handler/webrick"
  handler = Rack::Handler::WEBrick
end
app, = Rack::Builder.parse_file("config.ru")
handler.run(app, Host: "127.0.0.1", Port: ENV["PORT"].to_i, AccessLog: [])
"""
SHOPS = {
    "php": php,
    "django": behind_proxy("django", lambda port: [recipes.python(), "-m", "gunicorn", "-b", f"127.0.0.1:{port}",
                                                   "--threads", "4", "--log-level", "warning", "app"]),
    "node": behind_proxy("node", lambda port: ["node", "app.js"], database=True),
    "fastapi": behind_proxy("fastapi", lambda port: [recipes.python(), "-m", "uvicorn", "app:app", "--port", port,
                                                     "--log-level", "warning"]),
    "rails": behind_proxy("rails", lambda port: ["ruby", "-e", RACK]),
}


def fresh_tags(shop, *paths):
    tags = {}
    for path in paths:
        answer, why = shop.reads(path)
        assert is_version(answer.etag), f"{path}: {why} {answer}"
        tags[path] = answer.etag
        again, why = shop.reads(path, answer.etag)
        assert (again.status, why) == (304, "early-304")
    return tags


def a_save_and_a_deletion_are_seen(shop):
    number = json.loads(shop.call("POST", "/items?name=new").body)["id"]
    own = f"/items/{number}"
    assert {"shop.Item", f"shop.Item:{number}"} in shop.monitor.bumps()
    tags = fresh_tags(shop, "/items", own, "/items/1")
    shop.call("PUT", f"{own}?name=newer")
    for path in ("/items", own):
        answer, _ = shop.reads(path, tags[path])
        assert answer.status == 200 and "newer" in answer.text
        assert answer.etag != tags[path]
        tags[path] = answer.etag
    assert shop.reads("/items/1", tags["/items/1"])[0].status == 304     # the others keep theirs
    shop.call("DELETE", own)
    assert shop.reads(own, tags[own])[0].status == 404
    assert "newer" not in shop.reads("/items", tags["/items"])[0].text


def a_bulk_change_is_seen(shop):
    tags = fresh_tags(shop, "/items", "/items/1", "/items/2")
    shop.call("POST", "/items/bulk?name=bulk")
    for path, tag in tags.items():
        answer, _ = shop.reads(path, tag)
        assert answer.status == 200 and "bulk" in answer.text
    assert len([models for models in shop.monitor.bumps() if "shop.Item" in models]) == 1


def a_rollback_bumps_nothing(shop):
    tags = fresh_tags(shop, "/items", "/items/1")
    shop.call("POST", "/items/rollback?name=never")
    assert not shop.monitor.bumps()
    for path, tag in tags.items():
        assert shop.reads(path, tag)[0].status == 304
        assert "never" not in shop.reads(path)[0].text


def a_savepoint_that_is_rolled_back_keeps_the_outer_bump(shop):
    tags = fresh_tags(shop, "/items", "/items/1")
    shop.call("POST", "/items/savepoint?name=outer")
    bumps = [models for models in shop.monitor.bumps() if "shop.Item" in models]
    assert len(bumps) == 1 and "shop.Item:1" in bumps[0]
    for path, tag in tags.items():
        answer, _ = shop.reads(path, tag)
        assert answer.status == 200 and "outer" in answer.text and "lost" not in answer.text


def the_bump_comes_after_the_commit(shop):
    seen = json.loads(shop.call("POST", "/items/order?name=ordered").body)
    assert seen["before"] == seen["inside"] != seen["after"]
    assert len([models for models in shop.monitor.bumps() if "shop.Item" in models]) == 1


def a_relation_is_seen_on_both_sides(shop):
    """A relation that is changed from the other side is seen in the item, too."""
    tags = fresh_tags(shop, "/items", "/items/1", "/items/2")
    shop.call("POST", "/items/label?name=bright")
    for path in ("/items", "/items/1"):
        assert "bright" in shop.reads(path, tags[path])[0].text
    assert shop.reads("/items/2", tags["/items/2"])[0].status == 304


def the_parent_is_touched_and_children_are_destroyed(shop):
    """touch: true bumps the category of an item; dependent: :destroy bumps each item of a category."""
    tag = fresh_tags(shop, "/categories/1")["/categories/1"]
    shop.call("PUT", "/items/1?name=touching")
    answer, _ = shop.reads("/categories/1", tag)
    assert answer.status == 200 and answer.etag != tag
    tags = fresh_tags(shop, "/categories/1", "/items", "/items/1")
    shop.call("DELETE", "/categories")
    assert shop.reads("/items", tags["/items"])[0].text == "[]"
    for path in ("/categories/1", "/items/1"):
        assert shop.reads(path, tags[path])[0].status == 404


ALL = [a_save_and_a_deletion_are_seen, a_bulk_change_is_seen, a_rollback_bumps_nothing,
       a_savepoint_that_is_rolled_back_keeps_the_outer_bump, the_bump_comes_after_the_commit]
MORE = {"django": [a_relation_is_seen_on_both_sides], "rails": [the_parent_is_touched_and_children_are_destroyed]}


@pytest.mark.parametrize("kind", SHOPS)
def test_recipe(request, kind, new_httpd, new_redis, closing):
    """One test for each application, because starting it takes longer than all checks."""
    database = request.getfixturevalue("mariadb") if kind == "node" else None
    shop = SHOPS[kind](new_httpd, closing, new_redis(), database)
    for name in ("egfp", "mcherry"):
        shop.call("POST", f"/items?name={name}")
    for check in ALL + MORE.get(kind, []):
        shop.monitor.bumps()
        check(shop)


# --- triggers: the application knows nothing of versions ---------------------------------------------

DATA = """
ProxyPass "/categories" "@BACKEND@/categories"
<Location "/categories">
  ETagVersion Version
  ETagVersionModels shop.Category
  ETagVersionIdentity none
</Location>
<Location "/items/settled">
  ETagVersionSettle 60s
</Location>
"""


class Data:
    """A backend that shows what is committed in a database, httpd, and a program of examples/recipes/sql that bumps."""

    def __init__(self, database, redis, backend, new_httpd, closing):
        self.database, self.redis, self.backend, self.closing = database, redis, backend, closing
        self.db = database.connect()
        for path in ("/items", "/items/settled"):
            backend.on(path, lambda request: self.show("SELECT id, name FROM item ORDER BY id"))
        backend.on("/items/1", lambda request: self.show("SELECT id, name FROM item WHERE id = 1"))
        backend.on("/categories", lambda request: self.show("SELECT id, name FROM category ORDER BY id"))
        conf = documented("sql.md", (r"http://127\.0\.0\.1:\d+", backend.url)) + DATA.replace("@BACKEND@", backend.url)
        self.shop = shop_of(new_httpd, closing, redis, conf)
        self.folder = folder_for(closing)

    def show(self, query):
        connection = self.database.connect()
        try:
            with connection.cursor() as cursor:
                cursor.execute(query)
                return Reply(body=json.dumps(cursor.fetchall()), content_type="application/json")
        finally:
            connection.close()

    def script(self, name):
        text = re.sub(r"^--.*\n", "", (recipes.HOME / "sql" / name).read_text(), flags=re.M)
        # PyMySQL takes one statement at a time; psycopg2 takes them all.
        for statement in [text] if isinstance(self.database, Postgres) else re.split(r";\n", text):
            if statement.strip():
                self.run(statement)

    def run(self, *statements):
        for statement in statements:
            with self.db.cursor() as cursor:
                cursor.execute(statement)

    def start(self, name, ready):
        """A program that bumps; `ready` says when it does."""
        where = self.database.dsn if isinstance(self.database, Postgres) else self.database.socket
        env = recipes.environment(SHOP_REDIS=f"unix://{self.redis.socket}", SHOP_DB=where)
        program = Program([recipes.python(), recipes.HOME / "sql" / name], self.folder, env=env, ready=ready, what=name)
        self.closing.append(program)
        return program

    def token(self, model):
        return self.redis("GET", f"model_version:{model}")

    def first(self, *models):
        """Each model has a version, and a page its tag."""
        for model in models:
            self.redis("SET", f"model_version:{model}", "first")

    def awaited(self, model, before):
        until(lambda: self.token(model) != before, f"the bump of {model}")


@pytest.fixture
def pg_data(postgres, new_redis, new_backend, new_httpd, closing):
    data = Data(postgres, new_redis(), new_backend(), new_httpd, closing)
    data.run("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    data.script("shop.sql")
    return data


def test_postgresql_notifies_after_the_commit(pg_data):
    data, server = pg_data, pg_data.shop
    data.run("INSERT INTO category VALUES (1, 'all')", "INSERT INTO item VALUES (1, 'egfp', 1)")
    data.script("notify.sql")
    data.first("shop.Item", "shop.Item:1")
    # At its start it bumps all that there are.
    program = data.start("listener.py", lambda: data.token("shop.Item:1") != b"first")
    tags = fresh_tags(server, "/items", "/items/1")
    kind, item = data.token("shop.Item"), data.token("shop.Item:1")
    server.monitor.bumps()

    data.run("BEGIN", "UPDATE item SET name = 'inside'", "UPDATE item SET name = 'twice'")
    data.run("SAVEPOINT inner_one", "INSERT INTO item VALUES (7, 'lost', 1)", "ROLLBACK TO inner_one")
    assert server.reads("/items", tags["/items"])[0].status == 304               # nobody sees it yet
    data.run("COMMIT")
    data.awaited("shop.Item", kind)
    assert server.monitor.bumps() == [{"shop.Item", "shop.Item:1"}]              # one bump for the transaction
    for path, tag in tags.items():
        answer, _ = server.reads(path, tag)
        assert answer.status == 200 and "twice" in answer.text

    data.run("BEGIN", "UPDATE item SET name = 'never'", "ROLLBACK")
    kind, item = data.token("shop.Item"), data.token("shop.Item:1")
    data.run("DELETE FROM category")                                              # a cascade fires triggers
    data.awaited("shop.Item:1", item)
    assert server.monitor.bumps() == [{"shop.Item", "shop.Item:1"}]              # and the rollback told nothing
    kind = data.token("shop.Item")
    data.run("TRUNCATE item")
    data.awaited("shop.Item", kind)

    # What is changed while it is away is bumped when it comes back.
    program.close()
    kind = data.token("shop.Item")
    data.run("INSERT INTO item VALUES (1, 'meanwhile', NULL)")
    assert data.token("shop.Item") == kind
    data.start("listener.py", lambda: data.token("shop.Item") != kind)


def test_postgresql_outbox_loses_nothing(pg_data):
    data, server = pg_data, pg_data.shop
    data.script("outbox.sql")
    data.run("INSERT INTO category VALUES (1, 'all')")
    data.start("relay.py", lambda: data.token("shop.Category"))
    tag = fresh_tags(server, "/categories")["/categories"]
    before = data.token("shop.Category")
    data.run("BEGIN", "UPDATE category SET name = 'never'", "ROLLBACK")
    data.run("BEGIN", "UPDATE category SET name = 'new'")
    assert server.reads("/categories", tag)[0].status == 304
    data.run("COMMIT")
    data.awaited("shop.Category", before)
    answer, _ = server.reads("/categories", tag)
    assert answer.status == 200 and "new" in answer.text
    # While Redis takes nothing the rows stay, and so does the work.
    data.redis("CONFIG", "SET", "maxmemory", "1")
    before = data.token("shop.Category")
    data.run("UPDATE category SET name = 'newer'")
    program = data.closing[-1]
    until(lambda: program.process.poll() is not None, "the end of the relay")
    assert data.show("SELECT count(*) FROM etag_outbox").body == "[[1]]"
    data.redis("CONFIG", "SET", "maxmemory", "0")
    data.start("relay.py", lambda: data.token("shop.Category") != before)
    until(lambda: data.show("SELECT count(*) FROM etag_outbox").body == "[[0]]", "an empty outbox")


def test_mariadb_outbox(mariadb, new_redis, new_backend, new_httpd, closing):
    data = Data(mariadb, new_redis(), new_backend(), new_httpd, closing)
    server = data.shop
    data.script("shop.sql")
    data.script("outbox_mysql.sql")
    data.run("INSERT INTO item VALUES (1, 'egfp', NULL)")
    data.start("relay_mysql.py", lambda: data.token("shop.Item:1"))
    tags = fresh_tags(server, "/items", "/items/1")
    before = data.token("shop.Item:1")
    data.run("BEGIN", "UPDATE item SET name = 'never'", "ROLLBACK")
    data.run("BEGIN", "UPDATE item SET name = 'new'")
    assert server.reads("/items", tags["/items"])[0].status == 304
    data.run("COMMIT")
    data.awaited("shop.Item:1", before)
    for path, tag in tags.items():
        answer, _ = server.reads(path, tag)
        assert answer.status == 200 and "new" in answer.text
    # A cascade fires no triggers here: what the documentation warns of.
    data.run("INSERT INTO category VALUES (1, 'all')", "INSERT INTO item VALUES (2, 'mcherry', 1)")
    until(lambda: data.show("SELECT count(*) FROM etag_outbox").body == "[[0]]", "an empty outbox")
    data.run("DELETE FROM category")
    assert data.show("SELECT count(*) FROM item").body == "[[1]]"
    assert data.show("SELECT count(*) FROM etag_outbox").body == "[[0]]"


def test_a_bump_before_the_commit_goes_wrong(pg_data):
    """What a trigger does that bumps by itself: a reader in between gets old data under the new version, for good."""
    data, server = pg_data, pg_data.shop
    data.run("INSERT INTO item VALUES (1, 'old', NULL)")
    data.first("shop.Item")
    data.run("BEGIN", "UPDATE item SET name = 'new'")
    data.redis("SET", "model_version:shop.Item", "too early")
    tag = server.reads("/items")[0].etag
    settled, why = server.reads("/items/settled")
    assert (settled.etag, why) == (None, "settling")
    data.run("COMMIT")
    stale, why = server.reads("/items", tag)
    assert (stale.status, why) == (304, "early-304")
    assert "new" in server.reads("/items")[0].text               # which the holder of the tag never sees
    assert "new" in server.reads("/items/settled", tag)[0].text  # with ETagVersionSettle nobody has such a tag


# --- GraphQL: the configuration of the documentation ------------------------------------------------

def test_graphql_as_documented(new_httpd, new_redis, new_backend, closing):
    redis, backend = new_redis(), new_backend()
    conf = next(block for block in blocks("graphql.md", "apache") if "_FPB_" in block)
    found = {"errors": [{"message": "PersistedQueryNotFound"}]}
    backend.on("/graphql/", lambda request: Reply(body=json.dumps(found), content_type="application/json"))
    shop = shop_of(new_httpd, closing, redis, f'ProxyPass "/graphql/" "{backend.url}/graphql/"\n{conf}')
    hashed = "/graphql/?operationName=SpectraList&extensions=%7B%22persistedQuery%22:%7B%22sha256Hash%22:%22ab%22%7D%7D"

    def post(document):
        body = json.dumps({"query": document}).encode()
        return shop.server.request("POST", "/graphql/", [("Content-Type", "application/json")], body)

    answer, why = shop.reads(hashed)
    assert (answer.etag, why) == (None, "graphql-errors")
    found = {"data": {"spectra": []}}
    shop.monitor.bumps()
    assert post("query SpectraList { spectra { id } }").etag is None         # POST needs an opt-in
    assert not shop.monitor.bumps()                                           # and a query is no change
    protein = "/graphql/?query=query%20_FPB_Proteins%20%7Bproteins%7Bid%7D%7D"
    tags = fresh_tags(shop, hashed, protein)
    assert [shop.reads(path, tag)[0].status for path, tag in tags.items()] == [304, 304]
    post("mutation SpectraList { save { id } }")                              # whatever it is called: all
    assert [shop.reads(path, tag)[0].status for path, tag in tags.items()] == [200, 200]
    assert shop.reads("/graphql/?query=%7Bme%7Bname%7D%7D")[1] == "operation"


# --- the documentation shows what was tried ---------------------------------------------------------

def test_the_documentation_shows_what_is_tried():
    """A block of code that names a file of examples/recipes in its first line is a part of that file."""
    texts = [places.REPO / "docs/recipes.md", *sorted((places.REPO / "docs/recipes").glob("*.md"))]
    shown = 0
    for text in texts:
        for file, block in re.findall(r"^```\w+\n\S+ (examples/\S+)[^\n]*\n(.*?)^```", text.read_text(), re.M | re.S):
            whole = (places.REPO / file).read_text()
            for part in block.split("\n...\n"):
                assert part.strip("\n") in whole, f"{text.name}: not in {file}:\n{part}"
            shown += 1
    assert shown >= 8
