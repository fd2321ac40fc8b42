# SPDX-License-Identifier: Apache-2.0
"""A Redis Cluster as the store: any node will do, slots move, nodes die; and what the start says about it."""
import re
import signal
import socket
import subprocess
import threading

import pytest

from harness.certs import Authority
from harness.cluster import RedisCluster
from harness.redis import RedisError, RedisServer
from harness.tags import is_version
from harness.wait import until

FRESHNESS = ["strict", "lease"]
PREFIX = "{etag}:"
KEY = PREFIX + "m"
SITE = """
ETagVersionStore "@STORE@"
ETagVersionStoreTimeout connect=5s command=2s
ETagVersionFreshness @FRESHNESS@
ETagVersionKeyPrefix "@PREFIX@"
AliasMatch ^/many/ "@ROOT@/htdocs/x.txt"
<Location />
  ETagVersion Version
  ETagVersionUpstreamETag Replace
  ETagVersionModels m
</Location>
<Location /many/>
  ETagVersionModels +a +b +c +d
</Location>
"""


@pytest.fixture(scope="module", name="cluster")
def _cluster():
    made = RedisCluster()
    yield made
    made.close()


@pytest.fixture(name="new_cluster")
def _new_cluster():
    made = []

    def make(*args, **more):
        made.append(RedisCluster(*args, **more))
        return made[-1]
    yield make
    for each in made:
        each.close()


@pytest.fixture(name="authority")
def _authority():
    made = Authority()
    yield made
    made.close()


@pytest.fixture(name="site")
def _site(new_cluster, new_httpd):  # pylint: disable=unused-argument
    """Servers end before the clusters that they listen to."""
    def make(url, prefix=PREFIX, start=True, freshness=None, conf=SITE, **more):
        freshness = freshness or FRESHNESS[0]
        server = new_httpd(conf.replace("@STORE@", url).replace("@FRESHNESS@", freshness)
                           .replace("@PREFIX@", prefix), "alias", start=False, **more)
        server.write("htdocs/x.txt", "x\n")
        return server.start() if start else server
    return make


def tag_of(server, path="/x.txt"):
    """The version tag, or None."""
    answer = server.get(path)
    assert answer.status == 200
    return answer.etag if is_version(answer.etag) else None


# --- any node --------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("freshness", FRESHNESS)
@pytest.mark.parametrize("mpm", ["event", "prefork"])
@pytest.mark.parametrize("node", [0, 1, 2])
def test_any_node(site, cluster, node, mpm, freshness):
    server = site(cluster.nodes[node].url, mpm=mpm, freshness=freshness)
    tag = tag_of(server)
    assert tag
    until(lambda: server.get("/x.txt", tag=tag).status == 304, "304")
    cluster.owner(KEY)("INCR", KEY)
    until(lambda: server.get("/x.txt", tag=tag).status == 200, "the new version")
    tag = tag_of(server)
    server.bump("m")
    answer = server.get("/x.txt", tag=tag)
    assert answer.status == 200 and is_version(answer.etag)
    assert is_version(server.get("/many/x").etag)


@pytest.mark.parametrize("freshness", FRESHNESS)
def test_nodes_with_names(site, new_cluster, freshness):
    """Nodes that name each other by host names, which are resolved in the background."""
    cluster = new_cluster(options=("--cluster-announce-hostname", "localhost",
                                   "--cluster-preferred-endpoint-type", "hostname"))
    server = site(cluster.others(KEY)[0].url, freshness=freshness)
    server.log.expect("ETV01(28|29|31)", optional=True)
    if freshness == "lease":
        until(lambda: server.log.lines("ETV0130"), "the table of versions in use")
    for _ in range(2):
        tag = until(lambda: tag_of(server), "a tag")
        server.bump("m")
        assert server.get("/x.txt", tag=tag).status == 200
        cluster.move(KEY, cluster.others(KEY)[0])


def test_nodes_without_addresses(site, new_cluster):
    """An endpoint that is unknown is where the connection leads to, with another port."""
    cluster = new_cluster(options=("--cluster-preferred-endpoint-type", "unknown-endpoint"))
    for node in cluster.nodes:
        assert tag_of(site(node.url))


def test_nothing_is_left_on_other_nodes(site, cluster):
    for node in cluster.nodes:
        server = site(node.url)
        assert tag_of(server)
    for node in cluster.others(KEY):
        assert node("DBSIZE") == 0


# --- slots that move -------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("freshness", FRESHNESS)
def test_slot_moves(site, cluster, freshness):
    server = site(cluster.nodes[0].url, freshness=freshness)
    server.log.expect("ETV01(28|29|31)", optional=True)
    for target in [*cluster.nodes, *cluster.nodes]:
        old = tag_of(server)
        if cluster.owner(KEY) is target:
            continue
        cluster.move(KEY, target)
        cluster.owner(KEY)("INCR", KEY)
        until(lambda o=old: server.get("/x.txt", tag=o).status == 200, "the new version")
        new = until(lambda: tag_of(server), "tags from the new node")
        assert new != old
        until(lambda n=new: server.get("/x.txt", tag=n).status == 304, "304 from the new node")
        server.bump("m")
        assert server.get("/x.txt", tag=new).status == 200


@pytest.mark.parametrize("freshness", FRESHNESS)
def test_slot_on_its_way(site, cluster, freshness):
    """Half here, half there: no versions, and the log says why; afterwards all is well."""
    server = site(cluster.nodes[0].url, freshness=freshness)
    assert is_version(server.get("/many/x").etag)
    target = cluster.others(KEY)[0]
    source = cluster.begin_move(KEY, target)
    cluster.move_keys(KEY, source, target, most=2)
    server.log.expect(r"ETV0128: .* on its way to another node of the cluster \((ASK|TRYAGAIN)\)")
    server.log.expect("ETV0131", optional=True)
    answer = until(lambda: (lambda a: not is_version(a.etag) and a)(server.get("/many/x")), "no tag")
    assert answer.status == 200 and server.why(answer) == "store-down"
    cluster.move_keys(KEY, source, target)
    cluster.end_move(KEY, source, target)
    assert until(lambda: is_version(server.get("/many/x").etag), "tags from the new node")


@pytest.mark.parametrize("freshness", FRESHNESS)
def test_never_stale_while_slots_move(site, cluster, freshness):
    """A 304 for a tag that was current before the last acknowledged bump: never, wherever the slot is."""
    server = site(cluster.nodes[0].url, freshness=freshness)
    server.log.expect("ETV01(17|28|29|31)", optional=True)
    stop, problems, bumps, answered = threading.Event(), [], [0], [0]
    clients = [node.client() for node in cluster.nodes]

    def bump():
        for client in clients:
            try:
                return client("INCR", KEY)
            except RedisError:
                continue  # not there, or on its way
        return None

    def bump_and_ask():
        while not stop.is_set():
            before = server.get("/x.txt")
            if bump() is None:
                continue
            bumps[0] += 1
            if not is_version(before.etag):
                continue
            answered[0] += 1
            after = server.get("/x.txt", tag=before.etag)
            if after.status != 200 and freshness == "strict":
                problems.append(f"stale: {after}")
                return
            until(lambda: server.get("/x.txt", tag=before.etag).status == 200, "the end of the lease", 20)

    thread = threading.Thread(target=bump_and_ask)
    thread.start()
    try:
        for number in range(12):
            seen = answered[0]
            until(lambda s=seen: answered[0] > s + 2 or problems, "answers with tags")
            target = cluster.nodes[number % 3]
            if cluster.owner(KEY) not in (target, None):
                _move_with_retries(cluster, target)
    finally:
        stop.set()
        thread.join()
        for client in clients:
            client.close()
    assert not problems, problems
    assert bumps[0] > 20


def _move_with_retries(cluster, target):
    """Keys that are created on the old node meanwhile are moved too."""
    source = cluster.begin_move(KEY, target)
    slot = cluster.slot(KEY)
    until(lambda: cluster.move_keys(KEY, source, target) or not source("CLUSTER", "COUNTKEYSINSLOT", slot),
          "an empty slot")
    cluster.end_move(KEY, source, target)


@pytest.mark.parametrize("freshness", FRESHNESS)
@pytest.mark.parametrize("names, host", [("DNS:localhost", "localhost"), ("IP:127.0.0.1", "127.0.0.1"),
                                         ("DNS:localhost,IP:127.0.0.1", "localhost")])
def test_encrypted(site, new_cluster, authority, names, host, freshness):
    """Nodes name each other by address; a certificate for the configured host is as good."""
    authority.make("node", names)
    cluster = new_cluster(tls=authority.redis("node"))
    server = site(cluster.others(KEY)[0].tls_url(authority, host), freshness=freshness)
    server.log.expect("ETV01(28|29|31)", optional=True)
    for _ in range(2):
        old = until(lambda: tag_of(server), "tags")
        server.bump("m")
        assert server.get("/x.txt", tag=old).status == 200
        target = cluster.others(KEY)[0]
        cluster.move(KEY, target)
        target("INCR", KEY)
        until(lambda o=old: server.get("/x.txt", tag=o).status == 200, "the new version")
    assert not server.log.lines("ETV0125")


# --- nodes that die --------------------------------------------------------------------------------------------------

@pytest.fixture(name="with_replica")
def _with_replica(new_cluster):
    """The slot belongs to the first node, which has a replica (the last one)."""
    made = new_cluster(primaries=3, replicas=1)
    if made.owner(KEY) is not made.nodes[0]:
        made.move(KEY, made.nodes[0])
    return made


@pytest.mark.parametrize("freshness", FRESHNESS)
@pytest.mark.parametrize("configured", [1, 3], ids=["another-node", "its-replica"])
def test_failover(site, with_replica, configured, freshness):
    """The node of the slot dies with a version that its replica never got."""
    cluster = with_replica
    owner, replica = cluster.nodes[0], cluster.nodes[3]
    server = site(cluster.nodes[configured].url, freshness=freshness)
    server.log.expect("etag_version:(warn|error)", optional=True)
    owner("SET", KEY, "1")
    assert owner("WAIT", 1, 10000) == 1
    old = tag_of(server)
    assert old
    owner("SET", KEY, "2")
    new = tag_of(server)
    owner.kill()
    until(lambda: replica("ROLE")[0] == b"master", "the replica to be promoted")
    tag = until(lambda: tag_of(server), "tags from the promoted replica")
    assert tag not in (old, new)
    until(lambda: server.get("/x.txt", tag=tag).status == 304, "304 from the promoted replica")
    assert server.get("/x.txt", tag=old).status == 200
    owner.start()
    until(lambda: owner("ROLE")[0] == b"slave", "the old node to follow")
    tag = until(lambda: tag_of(server), "tags")
    replica("INCR", KEY)
    until(lambda: server.get("/x.txt", tag=tag).status == 200, "the new version")


def test_configured_node_dies(site, with_replica):
    """Whoever knows the node that has the versions needs the configured one no more, until that one fails too."""
    cluster = with_replica
    server = site(cluster.nodes[1].url)
    server.log.expect("etag_version:(warn|error)", optional=True)
    tag = tag_of(server)
    assert tag
    cluster.nodes[1].kill()
    for _ in range(5):
        assert server.get("/x.txt", tag=tag).status == 304
    cluster.nodes[0].kill()
    answer = server.get("/x.txt")
    assert answer.status == 200 and not is_version(answer.etag)
    cluster.nodes[1].start()
    assert until(lambda: tag_of(server), "tags through the configured node")


def test_orderly_failover_back_and_forth(site, with_replica):
    cluster = with_replica
    first, second = cluster.nodes[0], cluster.nodes[3]
    server = site(cluster.nodes[1].url)
    server.log.expect("etag_version:(warn|error)", optional=True)
    for _ in range(2):
        old = until(lambda: tag_of(server), "tags")
        cluster.failover(second)
        until(lambda f=first: f("ROLE")[0] == b"slave", "demotion")
        second("INCR", KEY)
        until(lambda o=old: server.get("/x.txt", tag=o).status == 200, "the new version")
        first, second = second, first
        until(lambda s=second: b"master_link_status:up" in s("INFO", "replication"), "replica in step")


# --- what the start says ---------------------------------------------------------------------------------------------

SAYS = (r'ETV0410: ETagVersionKeyPrefix "@P@": the server of ETagVersionStore redis://127.0.0.1:\d+/\d is a node of a '
        r'Redis Cluster, where all versions must be in one hash slot: write a {tag} into the prefix, as in '
        r'ETagVersionKeyPrefix "{etag}:@P@"')


def output_of_start(server):
    with pytest.raises(AssertionError) as error:
        server.start()
    return str(error.value)


def says(text, prefix):
    pattern = SAYS.replace("{", r"\{").replace("}", r"\}").replace("@P@", prefix)
    return re.search(pattern, text)


@pytest.mark.parametrize("prefix", ["model_version:", "a{}:", "a{b:", "}:"])
@pytest.mark.parametrize("node", [0, 1])
def test_no_tag_in_the_prefix(site, cluster, prefix, node):
    server = site(cluster.nodes[node].url, prefix, start=False)
    status, output = server.configtest()
    assert status != 0 and says(output, re.escape(prefix)), output
    server.log.expect("ETV0410")
    server.log.expect("Configuration (check )?[Ff]ailed|AH00014", optional=True)
    output_of_start(server)
    assert says(server.log.text(), re.escape(prefix)), server.log.text()


def test_database(site, cluster):
    server = site(cluster.nodes[0].url + "/3", start=False)
    status, output = server.configtest()
    assert status != 0
    assert "the server is a node of a Redis Cluster, which has only database 0: leave out the /3" in output


def test_start_asks_over_tls(site, authority, new_redis):
    redis = new_redis("--tls-cluster", "yes", tls=authority.redis(), cluster=True)
    status, output = site(redis.tls_url(authority), "plain:", start=False).configtest()
    assert status != 0 and "ETV0410" in output, output


def test_password(site, new_redis):
    redis = new_redis("--requirepass", "secret", cluster=True, password="secret")
    url = redis.url.replace("//", "//:secret@")
    status, output = site(url, "plain:", start=False).configtest()
    assert status != 0 and "ETV0410" in output and "secret" not in output, output
    status, output = site(url.replace("secret", "wrong"), "plain:", start=False).configtest()
    assert status == 0, "who may not ask finds out later"


def test_one_virtual_host_of_many(site, cluster, new_redis):
    plain = new_redis()
    conf = SITE + "".join(f"""
<VirtualHost 127.0.0.1:{number}>
  ServerName host{number}
  ETagVersionStore "{url}"
  ETagVersionKeyPrefix "{prefix}"
</VirtualHost>""" for number, url, prefix in (
        (1, plain.url, "plain:"), (2, cluster.nodes[0].url, "one:"), (3, cluster.nodes[0].url, "{two}:"),
        (4, plain.url + "/4", "plain:")))
    status, output = site(plain.url, "main:", conf=conf, start=False).configtest()
    assert status != 0 and says(output, "one:") and output.count("ETV04") == 1, output


def states(server):
    """Of the processes that httpd has started, as the kernel names them."""
    found = []
    for pid in server.children():
        try:
            with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
                found.append(f.read().rsplit(")", 1)[1].split()[0])
        except (FileNotFoundError, ProcessLookupError):
            pass  # it is gone by now
    return found


@pytest.mark.parametrize("mpm", ["event", "prefork"])
def test_servers_that_do_not_answer(site, mpm):
    """Neither one that is down nor one that hangs stops or delays a start, and no process is left."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        conf = SITE + f"""
<VirtualHost 127.0.0.1:1>
  ServerName down
  ETagVersionStore "redis://127.0.0.1:1"
</VirtualHost>
<VirtualHost 127.0.0.1:2>
  ServerName nowhere
  ETagVersionStore "redis://no-such-host.invalid"
</VirtualHost>"""
        server = site(f"redis://127.0.0.1:{silent.getsockname()[1]}", "plain:", conf=conf, start=False, mpm=mpm)
        status, output = server.configtest()
        assert status == 0, output
        server.start()
        server.graceful()
        # a child of before the restart is one for a moment, too
        until(lambda: "Z" not in states(server), "the end of every probe")
        server.log.expect("etag_version:(warn|error)", optional=True)


def test_single_process(site, cluster):
    """httpd -X: what was asked at the start leaves no thread and no signal behind."""
    server = site(cluster.nodes[0].url, start=False)
    server.port = None
    server.configtest()  # writes the configuration
    command = server._command("-X")  # pylint: disable=protected-access
    with subprocess.Popen(command, env=server._env(), stdin=subprocess.DEVNULL,  # pylint: disable=protected-access
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            until(server._answers, "httpd -X")  # pylint: disable=protected-access
            assert until(lambda: tag_of(server), "a tag")
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            finally:
                process.kill()


def test_a_cluster_that_was_down_at_the_start(site):
    """What the start could not see, the log says later."""
    redis = RedisServer(cluster=True)
    try:
        redis("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        until(lambda: b"cluster_state:ok" in redis("CLUSTER", "INFO"), "the cluster")
        redis.kill()
        server = site(redis.url, "plain:")
        redis.start()
        until(lambda: b"cluster_state:ok" in redis("CLUSTER", "INFO"), "the cluster")
        server.log.expect(r"ETV0127: .* With a \{tag\} in it, as in \"\{etag\}:\", ETagVersionKeyPrefix keeps them")
        server.log.expect("ETV01(01|17|18)", optional=True)
        answer = server.get("/x.txt")
        assert answer.status == 200 and not is_version(answer.etag)
    finally:
        redis.close()


def test_right_prefixes_are_not_asked_about(site, new_redis):
    """A {tag} is as good for a server that is no cluster."""
    redis = new_redis()
    before = int(redis("INFO", "stats").split(b"total_connections_received:")[1].split()[0])
    status, output = site(redis.url, start=False).configtest()
    assert status == 0, output
    assert int(redis("INFO", "stats").split(b"total_connections_received:")[1].split()[0]) == before
