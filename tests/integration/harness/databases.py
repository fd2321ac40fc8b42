# SPDX-License-Identifier: Apache-2.0
"""Private PostgreSQL and MariaDB servers in temporary folders, reached by unix sockets only; they keep nothing safe."""
import subprocess

from . import places
from .wait import until


def _user():
    """Both refuse to be run by root."""
    return {"user": places.USER, "group": places.USER, "extra_groups": []} if places.IS_ROOT else {}


class Program:
    """A program that runs until it is closed. Its output goes to a file, which a failure shows."""

    def __init__(self, command, folder, env=None, ready=None, what=None, **more):
        self.log = folder / f"{what or 'program'}.log"
        self._output = self.log.open("ab")
        self.process = subprocess.Popen([str(word) for word in command], env=env, stdin=subprocess.DEVNULL,
                                        stdout=self._output, stderr=subprocess.STDOUT, **more)
        if ready:
            until(lambda: self.process.poll() is not None or ready(), lambda: f"{what}: {self.text()}")
            assert self.process.poll() is None, f"{what} ended: {self.text()}"

    def text(self):
        return self.log.read_text(errors="replace")[-3000:]

    def close(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._output.close()


class Postgres:
    """`connect()` makes a connection of psycopg2; `dsn` is for others."""

    def __init__(self):
        self.root = places.writable(places.new_folder("etv-g-"))
        data = self.root / "data"
        self._run("initdb", "-D", data, "-A", "trust", "-U", "shop", "--no-sync", "--locale=C", "-E", "UTF8",
                  "--no-instructions")
        server = places.program("postgres", "/usr/lib/postgresql/*/bin/postgres")
        options = {"fsync": "off", "listen_addresses": "", "unix_socket_directories": self.root,
                   "shared_buffers": "8MB", "max_connections": 20, "autovacuum": "off"}
        self.dsn = f"host={self.root} user=shop dbname=postgres"
        self.server = Program([server, "-D", data, *(f"--{key}={value}" for key, value in options.items())],
                              self.root, ready=self._answers, what="postgres", **_user())

    def _run(self, name, *words):
        done = subprocess.run([places.program(name, f"/usr/lib/postgresql/*/bin/{name}"), *map(str, words)],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, **_user())
        assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"

    def _answers(self):
        import psycopg2
        try:
            psycopg2.connect(self.dsn).close()
            return True
        except psycopg2.OperationalError:
            return False

    def connect(self, autocommit=True):
        import psycopg2
        db = psycopg2.connect(self.dsn)
        db.autocommit = autocommit
        return db

    def close(self):
        self.server.process.send_signal(2)  # SIGINT: without waiting for its clients
        self.server.close()
        places.remove_folder(self.root)


class MariaDb:
    """`connect()` makes a connection of PyMySQL to the database `shop`; `socket` is for others. The user is root."""

    def __init__(self):
        self.root = places.writable(places.new_folder("etv-m-"))
        self.socket = self.root / "db.sock"
        # Without tables of rights, which need more packages and seconds: the folder is nobody else's.
        data = self.root / "data"
        data.mkdir()
        places.writable(data)
        self.server = Program([places.program("mariadbd"), "--no-defaults", f"--datadir={data}", "--skip-grant-tables",
                               "--skip-networking", f"--socket={self.socket}", f"--pid-file={self.root}/pid",
                               "--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=16M", "--skip-log-bin"],
                              self.root, ready=self._answers, what="mariadbd", **_user())
        with self.connect(None).cursor() as cursor:
            cursor.execute("CREATE DATABASE shop CHARACTER SET utf8mb4")

    def _answers(self):
        import pymysql
        try:
            self.connect(None).close()
            return True
        except pymysql.Error:
            return False

    def connect(self, database="shop", autocommit=True):
        import pymysql
        return pymysql.connect(unix_socket=str(self.socket), user="root", database=database, autocommit=autocommit)

    def close(self):
        self.server.close()
        places.remove_folder(self.root)
