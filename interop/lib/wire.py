"""The client protocol in bytes: requests are built, replies are taken apart, nothing is hidden.

Deliberately not a client library: a test must be able to send what no honest client sends, and to
see every byte that comes back. Integers are big-endian; null strings, buffers and vectors have the
length -1.
"""

import struct

OPCODES = {
    "create": 1, "delete": 2, "exists": 3, "getData": 4, "setData": 5, "getACL": 6, "setACL": 7,
    "getChildren": 8, "sync": 9, "ping": 11, "getChildren2": 12, "check": 13, "multi": 14,
    "create2": 15, "reconfig": 16, "checkWatches": 17, "removeWatches": 18, "createContainer": 19,
    "deleteContainer": 20, "createTTL": 21, "multiRead": 22, "auth": 100, "setWatches": 101,
    "sasl": 102, "getEphemerals": 103, "getAllChildrenNumber": 104, "setWatches2": 105,
    "addWatch": 106, "whoAmI": 107, "createSession": -10, "closeSession": -11,
}
NAMES = {code: name for name, code in OPCODES.items()}

# What follows the header of a reply with error 0, one letter a field: s string, b buffer, S Stat,
# A list of ACLs, v list of strings in no particular order, i int, M results of a multi, W list of
# identities in no particular order.
REPLIES = {
    "create": "s", "create2": "sS", "createContainer": "sS", "createTTL": "sS", "exists": "S",
    "getData": "bS", "setData": "S", "getACL": "AS", "setACL": "S", "getChildren": "v",
    "getChildren2": "vS", "sync": "s", "multi": "M", "multiRead": "M", "reconfig": "bS",
    "sasl": "b", "getEphemerals": "v", "getAllChildrenNumber": "i", "addWatch": "i",
    "whoAmI": "W",
}
MULTI_RESULTS = {1: "s", 2: "", 4: "bS", 5: "S", 8: "v", 13: "", 15: "sS", -1: "i"}

OPEN = [(31, "world", "anyone")]
EPHEMERAL, SEQUENTIAL, CONTAINER, TTL, TTL_SEQUENTIAL = 1, 2, 4, 5, 6


def i32(value):
    """A jute int."""
    return struct.pack(">i", value)


def i64(value):
    """A jute long."""
    return struct.pack(">q", value)


def buf(value):
    """A jute buffer or string; None is null, text is encoded as UTF-8."""
    if value is None:
        return i32(-1)
    raw = value.encode("utf-8") if isinstance(value, str) else value
    return i32(len(raw)) + raw


def vector(values, encode=buf):
    """A jute vector; None is null."""
    return i32(-1) if values is None else i32(len(values)) + b"".join(map(encode, values))


def flag(value):
    """A jute boolean; an int goes out as that byte."""
    return bytes([int(value)])


def acl(entry):
    """One ACL from (perms, scheme, id)."""
    perms, scheme, who = entry
    return i32(perms) + buf(scheme) + buf(who)


def frame(payload):
    """A payload with its length in front."""
    return i32(len(payload)) + payload


class Request:
    """An operation and its body; the xid is given when it is sent."""

    def __init__(self, op, body=b"", xid=None):
        self.op = op
        self.code = OPCODES[op] if isinstance(op, str) else op
        self.body = body
        self.xid = xid

    def payload(self, xid):
        """Request header and body."""
        return i32(self.xid if self.xid is not None else xid) + i32(self.code) + self.body

    def __repr__(self):
        xid = "" if self.xid is None else f" xid={self.xid}"
        return f"{self.op}{xid} {self.body.hex()}"


def create(path, data=b"", acls=OPEN, flags=0, op="create"):
    """create, create2 or createContainer (by `op`)."""
    return Request(op, buf(path) + buf(data) + vector(acls, acl) + i32(flags))


def create2(path, data=b"", acls=OPEN, flags=0):
    """create2."""
    return create(path, data, acls, flags, "create2")


def create_container(path, data=b"", acls=OPEN, flags=CONTAINER):
    """createContainer."""
    return create(path, data, acls, flags, "createContainer")


def create_ttl(path, ttl_ms, data=b"", acls=OPEN, flags=TTL):
    """createTTL."""
    return Request("createTTL", create(path, data, acls, flags).body + i64(ttl_ms))


def delete(path, version=-1):
    """delete."""
    return Request("delete", buf(path) + i32(version))


def check(path, version=-1):
    """check, legal only inside a multi."""
    return Request("check", buf(path) + i32(version))


def set_data(path, data=b"", version=-1):
    """setData."""
    return Request("setData", buf(path) + buf(data) + i32(version))


def set_acl(path, acls, version=-1):
    """setACL."""
    return Request("setACL", buf(path) + vector(acls, acl) + i32(version))


def exists(path, watch=False):
    """exists."""
    return Request("exists", buf(path) + flag(watch))


def get_data(path, watch=False):
    """getData."""
    return Request("getData", buf(path) + flag(watch))


def get_children(path, watch=False):
    """getChildren."""
    return Request("getChildren", buf(path) + flag(watch))


def get_children2(path, watch=False):
    """getChildren2."""
    return Request("getChildren2", buf(path) + flag(watch))


def get_acl(path):
    """getACL."""
    return Request("getACL", buf(path))


def sync(path):
    """sync."""
    return Request("sync", buf(path))


def get_ephemerals(prefix):
    """getEphemerals."""
    return Request("getEphemerals", buf(prefix))


def get_all_children_number(path):
    """getAllChildrenNumber."""
    return Request("getAllChildrenNumber", buf(path))


def add_watch(path, mode):
    """addWatch: 0 persistent, 1 persistent and recursive."""
    return Request("addWatch", buf(path) + i32(mode))


def check_watches(path, kind):
    """checkWatches: 1 children, 2 data, 3 any, 4 persistent, 5 recursive."""
    return Request("checkWatches", buf(path) + i32(kind))


def remove_watches(path, kind):
    """removeWatches, kinds as in checkWatches."""
    return Request("removeWatches", buf(path) + i32(kind))


def set_watches(zxid, data=(), exist=(), child=(), persistent=None, recursive=None):
    """setWatches, or setWatches2 when a persistent list is given."""
    body = i64(zxid) + vector(data) + vector(exist) + vector(child)
    if persistent is None and recursive is None:
        return Request("setWatches", body, xid=-8)
    return Request("setWatches2", body + vector(persistent or ()) + vector(recursive or ()), xid=-8)


def ping():
    """ping, with the xid that clients use."""
    return Request("ping", xid=-2)


def auth(scheme, data, xid=-4):
    """auth."""
    return Request("auth", i32(0) + buf(scheme) + buf(data), xid=xid)


def who_am_i():
    """whoAmI."""
    return Request("whoAmI")


def close_session():
    """closeSession."""
    return Request("closeSession")


def reconfig(joining=None, leaving=None, members=None, config_id=-1):
    """reconfig."""
    return Request("reconfig", buf(joining) + buf(leaving) + buf(members) + i64(config_id))


def multi(*requests, op="multi"):
    """multi or multiRead over requests made by the functions above."""
    parts = [i32(one.code) + flag(0) + i32(-1) + one.body for one in requests]
    return Request(op, b"".join(parts) + i32(-1) + flag(1) + i32(-1))


def multi_read(*requests):
    """multiRead."""
    return multi(*requests, op="multiRead")


def connect_request(timeout_ms, session=0, password=bytes(16), last_zxid=0, read_only=False):
    """The first payload of a connection; read_only=None leaves the byte out, as old clients do."""
    head = i32(0) + i64(last_zxid) + i32(timeout_ms) + i64(session) + buf(password)
    return head if read_only is None else head + flag(read_only)


def session_password(session):
    """The password a server gives to a session: java.util.Random's bytes from the session's id."""
    state = (session ^ 0xB3415C00 ^ 0x5DEECE66D) & (2**48 - 1)
    out = b""
    while len(out) < 16:
        state = (state * 0x5DEECE66D + 0xB) & (2**48 - 1)
        out += struct.pack("<I", state >> 16)
    return out


class Reader:
    """Takes a payload apart; raises ValueError where it is too short."""

    def __init__(self, raw):
        self.raw = raw
        self.at = 0

    def take(self, count):
        """The next `count` bytes."""
        if count < 0 or self.at + count > len(self.raw):
            raise ValueError(f"{count} bytes wanted at {self.at} of {len(self.raw)}")
        self.at += count
        return self.raw[self.at - count:self.at]

    def i32(self):
        """An int."""
        return struct.unpack(">i", self.take(4))[0]

    def i64(self):
        """A long."""
        return struct.unpack(">q", self.take(8))[0]

    def buf(self):
        """A buffer or string as bytes, or None."""
        length = self.i32()
        return None if length == -1 else self.take(length)

    def vector(self, read):
        """A list of what `read` reads, or None."""
        count = self.i32()
        if count > len(self.raw):
            raise ValueError(f"a list of {count} in {len(self.raw)} bytes")
        return None if count == -1 else [read() for _ in range(count)]

    def rest(self):
        """Everything not yet taken."""
        return self.take(len(self.raw) - self.at)
