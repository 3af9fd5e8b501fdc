"""Kazoo and Curator clients that write without pause and keep what was acknowledged."""

import logging
import pathlib
import shutil
import subprocess
import sys
import threading
import time

from kazoo.client import KazooClient, KazooState
from kazoo.exceptions import KazooException, NodeExistsError
from kazoo.handlers.threading import KazooTimeoutError
from kazoo.retry import KazooRetry

SUITE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(SUITE.parent / "lib" / "jvm"))

from junit import build  # noqa: E402
from servers import CannotRun  # noqa: E402

RETRY = {"max_tries": -1, "delay": 0.02, "backoff": 1, "max_jitter": 0, "max_delay": 0.05}
SESSION_S = 10.0
# It tells of every attempt to connect.
logging.getLogger("kazoo").setLevel(logging.CRITICAL)


class KazooLoad(threading.Thread):
    """One Kazoo client."""

    def __init__(self, hosts, path):
        super().__init__(daemon=True)
        self.path = path
        self.acked = []
        self.lost = 0
        self.problem = None
        self.ending = threading.Event()
        self.client = KazooClient(
            hosts, timeout=SESSION_S, connection_retry={**RETRY, "ignore_expire": False},
            command_retry=KazooRetry(**RETRY))
        self.client.add_listener(self.heard)
        self.client.start(30)
        self.client.create(path)
        self.session = self.client.client_id[0]

    def heard(self, state):
        """Counts lost sessions."""
        if state == KazooState.LOST and not self.ending.is_set():
            self.lost += 1

    def run(self):
        number = 0
        while not self.ending.is_set():
            number += 1
            try:
                self.client.retry(self.client.create, f"{self.path}/{number}")
            except NodeExistsError:
                # A repetition of what was done before the connection was lost.
                pass
            except (KazooException, KazooTimeoutError) as error:
                self.problem = f"{self.path}: {type(error).__name__}: {error}"
                return
            self.acked.append((number, 0, time.monotonic()))
            self.ending.wait(0.005)

    def end(self):
        """Stops writing; returns what went wrong with the session, or None."""
        self.ending.set()
        self.join(30)
        same = self.client.client_id is not None and self.client.client_id[0] == self.session
        self.client.stop()
        self.client.close()
        if self.problem or (self.lost == 0 and same):
            return self.problem
        return f"{self.path}: the session was lost {self.lost} times"


class CuratorLoad(threading.Thread):
    """One Curator client, in a process of its own; the class path is that of interop/curator."""

    def __init__(self, hosts, path):
        super().__init__(daemon=True)
        self.path = path
        self.acked = []
        self.sessions = set()
        self.lost = 0
        jars = build("curator")
        if shutil.which("java") is None:
            raise CannotRun("java is not installed; Curator cannot run")
        self.process = subprocess.Popen(
            ["java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", jars,
             str(SUITE / "Load.java"), hosts, path],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self):
        for line in self.process.stdout:
            word, _, value = line.strip().partition(" ")
            if word == "session":
                self.sessions.add(value)
            elif word == "lost":
                self.lost += 1
            elif word.isdigit():
                self.acked.append((int(word), 0, time.monotonic()))

    def end(self):
        """Stops writing; returns what went wrong with the session, or None."""
        self.process.stdin.close()
        try:
            status = self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = "none: it had to be killed"
        self.join(30)
        if status != 0 or len(self.acked) == 0:
            return f"{self.path}: the Curator client ended with status {status}"
        if self.lost or len(self.sessions) != 1:
            return f"{self.path}: lost {self.lost} times, sessions {self.sessions}"
        return None
