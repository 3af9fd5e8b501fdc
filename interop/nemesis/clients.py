"""Clients that workloads drive, Kazoo's and Go's, each a process; and what they lived through.

A request is a JSON object with `do` (create, delete, set, get, children, sync, multi) and what
belongs to it: path, data, flags, version, parts. The answer has `code`: 0, one of the errors that
say for certain that nothing was done, or null, if nobody knows; `session` and whether it was the
same before; and path, data, stat, names or paths.
"""

import json
import subprocess
import time

CODES = NO_NODE, BAD_VERSION, NODE_EXISTS, NOT_EMPTY = -101, -103, -110, -111
EPHEMERAL, SEQUENTIAL = 1, 2
TIMEOUT_S = 6.0
# A follower tells its leader who was heard each time that the leader pings it, every half tick; one
# that dies may have told less than it knew.
SPARE_S = 1.5


class Answer:
    """What came of a request. `code` is None if nobody knows whether it was done."""

    def __init__(self, told, invoked, returned):
        self.code = told["code"]
        self.session = told["session"]
        self.same = told["same"]
        self.path = told.get("path")
        self.data = told.get("data")
        self.stat = told.get("stat")
        self.names = told.get("names") or []
        self.paths = told.get("paths") or []
        self.invoked, self.returned = invoked, returned

    good = property(lambda self: self.code == 0)
    unknown = property(lambda self: self.code is None)


class Client:
    """One client process. It finds its way from member to member and to new sessions by itself."""

    def __init__(self, command, hosts, number, book):
        self.number, self.book = number, book
        self.process = subprocess.Popen([*command, hosts], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.session = 0
        # When a write was sent that was acknowledged to this session.
        self.confirmed = None
        self.expired, self.wrongly = 0, []
        self.answered = self.asked = 0

    def ask(self, do, path=None, **more):
        """A request and its answer."""
        self.asked += 1
        words = {"do": do, "path": path, **more}
        invoked = time.monotonic_ns()
        self.process.stdin.write(json.dumps(words) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"client {self.number} has ended")
        answer = Answer(json.loads(line), invoked, time.monotonic_ns())
        self.answered += not answer.unknown
        self.watch_session(answer, do)
        self.book.write(self.number, words, answer)
        return answer

    def watch_session(self, answer, do):
        """A session that had a write acknowledged less than its timeout ago can't have expired: it
        was a sign of life, and whoever leads next starts anew."""
        if not answer.session:
            return
        if self.session and answer.session != self.session:
            self.expired += 1
            silent_s = (answer.returned - (self.confirmed or 0)) / 1e9
            if self.confirmed and silent_s < TIMEOUT_S - SPARE_S:
                self.wrongly.append(f"client {self.number}: session 0x{self.session:x} expired "
                                    f"{silent_s:.2f} s after a write that was acknowledged")
            self.confirmed = None
        self.session = answer.session
        if answer.same and answer.good and do not in ("get", "children", "sync"):
            self.confirmed = answer.invoked

    def expire_now(self):
        """What it would be if the session had expired right after a write."""
        self.session, self.confirmed = self.session or 1, time.monotonic_ns()
        told = {"code": 0, "session": self.session + 1, "same": False}
        self.watch_session(Answer(told, time.monotonic_ns(), time.monotonic_ns()), "set")

    def close(self):
        """Ends the process, if it does not by itself when its input ends."""
        try:
            self.process.stdin.close()
            self.process.wait(5)
        except (BrokenPipeError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


def hexadecimal(text):
    """Data as the judges' program wants it."""
    return "x" + text.encode().hex()


def request_text(words):
    """A request as the judges' program wants it (src/sim/history/text.rs); None for others than
    those on registers."""
    path, version = words["path"], words.get("version", -1)
    return {
        "create": lambda: f"create {path} {hexadecimal(words['data'])} {words.get('flags', 0)}",
        "delete": lambda: f"delete {path} {version}",
        "set": lambda: f"set {path} {hexadecimal(words['data'])} {version}",
        "get": lambda: f"get {path} 0",
        "sync": lambda: f"sync {path}",
    }[words["do"]]()


def reply_text(words, answer):
    """The reply of a good answer, likewise."""
    stat = ",".join(map(str, answer.stat or ()))
    return {
        "create": f"path {answer.path}",
        "delete": "-",
        "set": f"stat {stat}",
        "get": f"data {hexadecimal(answer.data or '')} {stat}",
        "sync": f"path {words['path']}",
    }[words["do"]]


class Book:
    """What happened on registers, in the form that oxkeeper-check reads. These clients don't tell
    zxids, cxids and connections: the search needs none, and the first two are made up."""

    def __init__(self):
        self.lines = []
        self.sessions = {}

    def write(self, client, words, answer):
        """Adds one request."""
        if not (words["path"] or "").startswith("/register"):
            return
        known = self.sessions.get(client)
        if known is None or (answer.session and answer.session != known[1]):
            conn = len(self.sessions) + sum(one[2] for one in self.sessions.values()) + 1
            known = [conn, answer.session or conn, 1 if known is None else known[2] + 1, 0]
            self.sessions[client] = known
            self.lines.append(f"connected {conn} {client} {known[1]} {answer.invoked} 6000 0")
        known[3] += 1
        text = f"op {known[0]} {known[3]} {answer.invoked} {request_text(words)} = "
        if answer.unknown:
            self.lines.append(text + "unknown")
        else:
            body = reply_text(words, answer) if answer.good else "-"
            self.lines.append(f"{text}{answer.returned} 0 {answer.code} {body}")

    def text(self):
        """All of it."""
        return "".join(f"{line}\n" for line in self.lines)
