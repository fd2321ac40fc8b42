# SPDX-License-Identifier: Apache-2.0
"""Private sentinels that watch a private primary."""
import signal
import socket
import subprocess

from . import places
from .ports import free_port
from .redis import RedisClient, RedisError, _state
from .wait import until

CONF = """port {port}
bind 127.0.0.1
dir {root}
logfile {root}/log
daemonize no
sentinel monitor {name} 127.0.0.1 {primary} {quorum}
sentinel down-after-milliseconds {name} {down_after_ms}
sentinel failover-timeout {name} 3000
"""


class Sentinel:
    """One process; its file keeps what it has learned over restarts."""

    def __init__(self, conf, password=None):
        self.root = places.new_folder("etv-s-")
        self.password = password
        self.port = None
        self.process = None
        self._conf = conf
        self.start()

    def start(self):
        file = self.root / "sentinel.conf"
        for _ in range(20):
            if not self.port:
                self.port = free_port()
                file.write_text(self._conf(self.root, self.port), encoding="ascii")
            self.process = subprocess.Popen([places.redis_program(), str(file), "--sentinel"],
                                            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                            stderr=subprocess.DEVNULL)
            until(lambda: self.process.poll() is not None or self._answers(), "a sentinel")
            if self.process.poll() is None:
                return self
            log = (self.root / "log").read_text(errors="replace")
            assert "in use" in log, f"the sentinel did not start:\n{log}"
            self.port = None
        raise AssertionError("no free port for a sentinel")

    def _answers(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as s:
                s.settimeout(5)
                s.sendall(b"PING\r\n")
                return s.recv(100).startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False

    def command(self, *words):
        client = RedisClient(port=self.port, password=self.password)
        try:
            return client.command(*words)
        finally:
            client.close()

    __call__ = command

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)
        until(lambda: _state(self.process.pid) == "T", "a sentinel to stand still")

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process = None

    def close(self):
        self.kill()
        places.remove_folder(self.root)


class SentinelGroup:
    """Sentinels that know each other, the primary, and its replicas."""

    def __init__(self, primary, *options, count=3, quorum=2, name="mymaster", replicas=1,
                 down_after_ms=300, password=None):
        self.name = name
        options = [*options, *([f"requirepass {password}", f"sentinel sentinel-pass {password}"] if password else [])]

        def conf(root, port):
            head = CONF.format(root=root, port=port, name=name, primary=primary.port, quorum=quorum,
                               down_after_ms=down_after_ms)
            return head + "".join(f"{line}\n" for line in options)
        self.sentinels = []
        try:
            for _ in range(count):
                self.sentinels.append(Sentinel(conf, password))
            until(lambda: self._all_know_all(primary, count - 1, replicas), "sentinels to find each other")
        except BaseException:
            self.close()
            raise

    def _all_know_all(self, primary, others, replicas):
        """They say hello to each other through the primary every two seconds; here it is said for them meanwhile."""
        if all(self._knows_all(sentinel, others, replicas) for sentinel in self.sentinels):
            return True
        for sentinel in self.sentinels:
            primary("PUBLISH", "__sentinel__:hello", f"127.0.0.1,{sentinel.port},{sentinel('SENTINEL', 'MYID').decode()},"
                                                     f"0,{self.name},127.0.0.1,{primary.port},0")
        return False

    def _knows_all(self, sentinel, others, replicas):
        try:
            sentinel("SENTINEL", "CKQUORUM", self.name)
        except RedisError:
            return False
        known = sentinel("SENTINEL", "MASTER", self.name)
        known = dict(zip(known[::2], known[1::2]))
        return (known[b"flags"] == b"master" and int(known[b"num-other-sentinels"]) >= others and
                int(known[b"num-slaves"]) >= replicas)

    @property
    def hosts(self):
        return ",".join(f"127.0.0.1:{s.port}" for s in self.sentinels)

    @property
    def url(self):
        return f"redis+sentinel://{self.hosts}/{self.name}"

    def named(self, sentinel=None):
        """The port of the primary, as one of them sees it."""
        sentinel = sentinel or self.sentinels[0]
        return int(sentinel("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.name)[1])

    def failover(self):
        """Order one, as soon as the sentinel has heard from the replica that it is fit."""
        def ordered():
            try:
                return self.sentinels[0]("SENTINEL", "FAILOVER", self.name) == b"OK"
            except RedisError as error:
                if "NOGOODSLAVE" not in str(error):
                    raise
                return False
        until(ordered, "a sentinel to take the order")

    def await_named(self, server):
        """Until all of them name this server."""
        for sentinel in self.sentinels:
            until(lambda s=sentinel: self.named(s) == server.port, "sentinels to name another primary")

    def each(self, what):
        for sentinel in self.sentinels:
            getattr(sentinel, what)()

    def close(self):
        self.each("close")
