# SPDX-License-Identifier: Apache-2.0
"""A Redis Cluster of private servers whose slots a test moves. Used by one thread."""
from .redis import RedisError, RedisServer
from .wait import until

_SLOTS = 16384


class RedisCluster:
    """Primaries that share all slots in equal parts, and `replicas` of the first one."""

    def __init__(self, primaries=3, replicas=0, node_timeout_ms=1000, options=(), tls=()):
        self._options = ("--cluster-node-timeout", str(node_timeout_ms),
                         "--cluster-require-full-coverage", "no",
                         "--cluster-replica-validity-factor", "0", *options,
                         *(("--tls-cluster", "yes", "--tls-replication", "yes") if tls else ()))
        self._tls = tls
        self.nodes = []
        try:
            self._build(primaries, replicas)
        except BaseException:
            self.close()
            raise

    def _build(self, primaries, replicas):
        for number in range(primaries + replicas):
            node = RedisServer(*self._options, cluster=True, tls=self._tls)
            self.nodes.append(node)
            node("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            if number < primaries:
                node("CLUSTER", "ADDSLOTSRANGE", _SLOTS * number // primaries,
                     _SLOTS * (number + 1) // primaries - 1)
        for node in self.nodes[1:]:
            first = self.nodes[0]
            node("CLUSTER", "MEET", "127.0.0.1", first.tls_port or first.port, first.bus_port)
        until(lambda: all(self._knows_all(node) for node in self.nodes), "the nodes to meet")
        for node in self.nodes[primaries:]:
            until(lambda n=node: self._replicates(n, self.nodes[0]), "a replica")
            until(lambda n=node: b"master_link_status:up" in n("INFO", "replication"), "replica in step")
        until(lambda: all(b"cluster_state:ok" in node("CLUSTER", "INFO") for node in self.nodes),
              "the cluster to be whole")

    def _knows_all(self, node):
        info = node("CLUSTER", "INFO")
        return b"cluster_known_nodes:%d\r" % len(self.nodes) in info and b"cluster_slots_ok:16384\r" in info

    @staticmethod
    def _replicates(node, primary):
        try:
            return node("CLUSTER", "REPLICATE", primary("CLUSTER", "MYID")) == b"OK"
        except RedisError:
            return False

    def slot(self, key):
        return self._alive()[0]("CLUSTER", "KEYSLOT", key)

    def _alive(self):
        return [node for node in self.nodes if node.process]

    def owner(self, key):
        """The primary that takes writes to this key now, or None."""
        for node in self._alive():
            try:
                node("WATCH", key)
                if node("ROLE")[0] == b"master":
                    return node
            except RedisError:
                continue
        return None

    def others(self, key):
        owner = self.owner(key)
        return [node for node in self._alive() if node is not owner]

    def begin_move(self, key, target):
        """From now on, what the old node no longer has is asked of the new one (ASK)."""
        slot, source = self.slot(key), self.owner(key)
        target("CLUSTER", "SETSLOT", slot, "IMPORTING", source("CLUSTER", "MYID"))
        source("CLUSTER", "SETSLOT", slot, "MIGRATING", target("CLUSTER", "MYID"))
        return source

    def move_keys(self, key, source, target, most=1000):
        for name in source("CLUSTER", "GETKEYSINSLOT", self.slot(key), most):
            source("MIGRATE", "127.0.0.1", target.tls_port or target.port, name, 0, 5000)

    def end_move(self, key, source, target):
        slot = self.slot(key)
        for node in (target, source):  # the others hear it from the new owner
            node("CLUSTER", "SETSLOT", slot, "NODE", target("CLUSTER", "MYID"))
        until(lambda: self.agree(key), "the nodes to agree about a slot")

    def agree(self, key):
        """Whether all nodes name the same owner, who says so too."""
        owner, named = None, set()
        for node in self._alive():
            try:
                node("WATCH", key)
                if node("ROLE")[0] == b"master":
                    owner = node
            except RedisError as error:
                named.add(str(error).rsplit(":", 1)[-1])
        return owner is not None and named == {str(owner.port)}

    def failover(self, replica):
        """Let a replica take over from its living primary."""
        for _ in range(5):
            replica("CLUSTER", "FAILOVER")
            try:
                return until(lambda: replica("ROLE")[0] == b"master", "promotion", 6)
            except AssertionError:
                continue  # an attempt lasts five seconds at most
        raise AssertionError("no failover")

    def move(self, key, target):
        """Move the slot of a key, with all that is in it."""
        source = self.begin_move(key, target)
        self.move_keys(key, source, target)
        self.end_move(key, source, target)

    def close(self):
        for node in self.nodes:
            node.close()
