"""Settings of zoo.cfg that must not change, or must change, what a client sees."""

import socket

from scenarios import scenario
from wire import EPHEMERAL, add_watch, auth, create, create_ttl, delete, exists, get_acl
from wire import get_children2, get_data, set_data, who_am_i


def a_little_of_everything(side):
    """Writes, reads and a watch."""
    connection, other = side.connect(), side.connect()
    other.call(add_watch(side.path(), 1))
    connection.pipeline(
        create(side.path(), b"0"), get_data(side.path(), True), set_data(side.path(), b"1"),
        get_data(side.path()), get_data(side.path()), create(side.path("c"), flags=EPHEMERAL),
        get_children2(side.path()), get_children2(side.path()), delete(side.path("c")),
        get_children2(side.path()), set_data(side.path(), b"2"), get_data(side.path()),
        exists("/"),
    )
    connection.close_session()
    other.settle()


@scenario(cfg={"maxResponseCacheSize": "0", "maxGetChildrenResponseCacheSize": "0"})
def without_response_caches(side):
    """Caches are invisible."""
    a_little_of_everything(side)


@scenario(cfg={"forceSync": "no", "snapCount": "10", "preAllocSize": "100"})
def storage_settings(side):
    """So are snapshots every few writes."""
    for _ in range(5):
        a_little_of_everything(side)
        side.connect().call(delete(side.path()))


@scenario(cfg={"localSessionsEnabled": "true", "localSessionsUpgradingEnabled": "true"})
def local_sessions(side):
    """Sessions and their zxids."""
    a_little_of_everything(side)


@scenario(cfg={"request_throttle_max_requests": "2", "request_throttle_stall_time": "5"})
def throttled_requests(side):
    """Slower, but the same answers."""
    a_little_of_everything(side)


@scenario(cfg={"digest.enabled": "false", "flushDelay": "5", "maxBatchSize": "3"})
def pipeline_settings(side):
    """No difference on the wire."""
    a_little_of_everything(side)


@scenario(cfg={"closeSessionTxn.enabled": "false", "fsync.warningthresholdms": "1"})
def transaction_settings(side):
    """Nor here."""
    a_little_of_everything(side)


@scenario(cfg={"clientTcpKeepAlive": "true", "clientPortListenBacklog": "7", "extra.unknown.key": "x"})
def socket_settings_and_unknown_keys(side):
    """Nor here."""
    a_little_of_everything(side)


@scenario(cfg={"extendedTypesEnabled": "true"})
def order_of_checks_of_ttl_nodes(side):
    """Flags and ttl before path, ACL and permissions."""
    connection = side.connect()
    connection.call(create(side.path(), acls=[(3, "world", "anyone")]))
    for ttl in (0, 1000, 2**40):
        for flags in (5, 6, 7):
            for path in (side.path("x"), side.path("no/pe"), "bad", "/x/../y", side.path()):
                for acls in ([(31, "world", "anyone")], [], [(31, "nonsense", "")]):
                    connection.call(create_ttl(path, ttl, b"", acls, flags))


@scenario(cfg={"clientPortAddress": "::"})
def addresses_of_version_six(side):
    """How an IPv6 address is written, and what ip ACLs make of it."""
    side.address = ("::1", side.server.port, 0, 0)
    try:
        socket.create_connection(side.address[:2], timeout=2).close()
    except OSError:
        # No IPv6 on this machine: then both servers are asked over IPv4.
        side.address = side.server.address
    connection = side.connect()
    connection.call(who_am_i())
    for number, who in enumerate(("::1", "::1/64", "::/0", "127.0.0.1", "0:0:0:0:0:0:0:1", "fe80::/10")):
        path = f"{side.path()}{number}"
        connection.call(create(path, acls=[(31, "ip", who)]))
        connection.call(get_data(path))
        connection.call(get_acl(path))
    connection.call(auth("ip", b"x"))
    connection.call(who_am_i())
