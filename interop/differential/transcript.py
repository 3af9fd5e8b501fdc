"""What a server sent, as lines of text in which two servers can be compared.

A line shows every byte of a frame: fields by name, whatever is left in hex. Four things that no two
servers share are shown by their role instead: session ids by the order in which they were given out
(`S1`), zxids by their distance from the scenario's start (`+3`), wall-clock times as `now`, and
session passwords as `derived` when they are the ones that belong to the session's id. Lists that
come out of a Java hash set are sorted.
"""

import itertools
import re
import time

from wire import MULTI_RESULTS, NAMES, REPLIES, Reader, session_password

MEMBER = re.compile(r"(server\.\d+=127\.0\.0\.1):\d+:\d+")
EVENTS = {1: "created", 2: "deleted", 3: "changed", 4: "children"}


class Transcript:
    """The lines of one scenario on one server, and what is needed to mask them."""

    def __init__(self, base_zxid):
        self.base_zxid = base_zxid
        self.started_ms = int(time.time() * 1000)
        self.sessions = {}
        self.lines = []
        # Events of these transactions come in hash order (ephemerals of a closed session).
        self.unordered = set()

    def note(self, who, text):
        """Adds a line."""
        self.lines.append(f"{who} {text}")

    def zxid(self, value):
        """A zxid relative to the scenario's start; 0 and -1 as they are, older ones as `old`."""
        if value in (0, -1):
            return str(value)
        return f"+{value - self.base_zxid}" if value >= self.base_zxid else "old"

    def moment(self, value):
        """A time in ms: `now` if it lies in this run, else as it is."""
        slack_ms = 600_000
        return "now" if value > self.started_ms - slack_ms else str(value)

    def session(self, value):
        """A session id by its number in order of appearance; 0 as it is."""
        if value == 0:
            return "0"
        return self.sessions.get(value, f"0x{value & (2**64 - 1):016x}")

    def stat(self, reader):
        """The 68 bytes of a Stat."""
        czxid, mzxid = reader.i64(), reader.i64()
        ctime, mtime = reader.i64(), reader.i64()
        versions = [reader.i32() for _ in range(3)]
        owner, length, children = reader.i64(), reader.i32(), reader.i32()
        pzxid = reader.i64()
        return (
            f"stat(c={self.zxid(czxid)} m={self.zxid(mzxid)} p={self.zxid(pzxid)}"
            f" ctime={self.moment(ctime)} mtime={self.moment(mtime)}"
            f" versions={versions[0]},{versions[1]},{versions[2]} owner={self.session(owner)}"
            f" length={length} children={children})"
        )

    def acls(self, reader):
        """An ACL list; entries that differ in their id alone may have been one `auth` entry, whose
        identities come in hash order, and are sorted."""
        values = reader.vector(lambda: (reader.i32(), reader.buf(), reader.buf()))
        if values is None:
            return "null"
        runs = itertools.groupby(values, key=lambda entry: entry[:2])
        return repr([entry for _, run in runs for entry in sorted(run, key=repr)])

    def strings(self, reader):
        """A list of strings, sorted."""
        values = reader.vector(reader.buf)
        return "null" if values is None else repr(sorted(values, key=repr))

    def value(self, value):
        """A path or data; the ports of members, which no two ensembles share, are masked."""
        return MEMBER.sub(r"\1:PORT:PORT", repr(value))

    def field(self, letter, reader):
        """One field of a reply, by its letter in wire.REPLIES."""
        if letter in "sb":
            return self.value(reader.buf())
        if letter == "i":
            return str(reader.i32())
        if letter == "S":
            return self.stat(reader)
        if letter == "v":
            return self.strings(reader)
        if letter == "A":
            return self.acls(reader)
        if letter == "W":
            values = reader.vector(lambda: (reader.buf(), reader.buf()))
            return "null" if values is None else repr(sorted(values, key=repr))
        return self.results(reader)

    def results(self, reader):
        """The results of a multi, with each header as it came."""
        parts = []
        while True:
            kind, done, error = reader.i32(), reader.take(1)[0], reader.i32()
            head = f"{kind}/{done}/{error}"
            if done:
                return f"[{'; '.join([*parts, head])}]"
            parts.append(" ".join([head, *self.fields(MULTI_RESULTS[kind], reader)]))

    def fields(self, letters, reader):
        """All fields of a reply or result."""
        return [self.field(letter, reader) for letter in letters]

    def handshake(self, who, payload):
        """A ConnectResponse; returns (timeout, session, password)."""
        reader = Reader(payload)
        version, timeout, session, password = (
            reader.i32(), reader.i32(), reader.i64(), reader.buf()
        )
        if session and session not in self.sessions:
            self.sessions[session] = f"S{len(self.sessions) + 1}"
        known = session != 0 and password == session_password(session)
        shown = "derived" if known else password.hex()
        self.note(
            who,
            f"connected version={version} timeout={timeout} session={self.session(session)}"
            f" password={shown} rest={reader.rest().hex() or '-'}",
        )
        return timeout, session, password

    def event(self, reader, zxid):
        """A watch notification."""
        kind, state, path = reader.i32(), reader.i32(), reader.buf()
        name = EVENTS.get(kind, str(kind))
        return f"event {name} {path!r} state={state} zxid={self.zxid(zxid)}"

    def reply(self, who, payload, op_of):
        """Any later frame; returns (xid, zxid, error), xid None if it has no header."""
        reader = Reader(payload)
        try:
            xid, zxid, error = reader.i32(), reader.i64(), reader.i32()
        except ValueError:
            self.note(who, f"short frame {payload.hex()}")
            return None, None, None
        op = op_of(xid)
        try:
            if xid == -1:
                text = self.event(reader, zxid) + (f" err={error}" if error else "")
            else:
                # A failed reply has no body, except that of a multiRead, which may have one.
                # What is there nevertheless is shown as the rest.
                partial = op == "multiRead" and reader.at < len(payload)
                letters = REPLIES.get(op, "") if error == 0 or partial else ""
                body = " ".join(self.fields(letters, reader))
                text = f"reply {op} xid={xid} zxid={self.zxid(zxid)} err={error} {body}"
            rest = reader.rest()
        except (ValueError, KeyError) as problem:
            self.note(who, f"undecodable ({problem}) {op} {payload.hex()}")
            return xid, zxid, error
        self.note(who, f"{text.rstrip()} rest={rest.hex()}" if rest else text.rstrip())
        if xid == -1 and zxid in self.unordered:
            self.sort_events(f"{who} event ", f" zxid={self.zxid(zxid)}")
        return xid, zxid, error

    def sort_events(self, prefix, suffix):
        """Sorts the run of events at the end that one unordered transaction caused."""
        start = len(self.lines)
        while start and (
            self.lines[start - 1].startswith(prefix) and self.lines[start - 1].endswith(suffix)
        ):
            start -= 1
        self.lines[start:] = sorted(self.lines[start:])


def op_name(code):
    """The name of an opcode, or the number."""
    return NAMES.get(code, str(code))
