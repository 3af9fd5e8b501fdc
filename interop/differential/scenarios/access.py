"""ACLs, identities, and the switches around them."""

from scenarios import scenario
from wire import EPHEMERAL, OPEN, Request, auth, check, close_session, create, delete, exists
from wire import get_acl, get_all_children_number, get_children, get_children2, get_data, i32
from wire import multi, multi_read, ping, set_acl, set_data, sync, who_am_i

SUPER = "super:D/InIHSb7yEEbrWz8b9l71RjZJU="
BOB = "bob:ikIaKsbtGweaHnb/jKn7OHqbunM="


def try_everything(connection, path):
    """Every operation that some ACL bit may forbid."""
    for request in (
        exists(path), get_data(path), get_children(path), get_children2(path), get_acl(path),
        get_all_children_number(path), multi_read(get_data(path), get_children(path)),
        create(path + "/c"), delete(path + "/c"), set_data(path, b"x"), sync(path),
        multi(check(path)), multi(set_data(path, b"y")),
        set_acl(path, [(0, "world", "anyone")], 99), Request("addWatch", get_acl(path).body + i32(0)),
    ):
        connection.call(request)


@scenario()
def each_bit(side):
    """What every combination of bits allows to the world."""
    connection = side.connect()
    connection.call(create(side.path()))
    for perms in (0, 1, 2, 4, 8, 16, 3, 12, 17, 30, 31, -1, 32):
        path = side.path(str(perms))
        connection.call(create(path, b"d", acls=[(perms, "world", "anyone")]))
        try_everything(connection, path)
        connection.call(delete(path))


@scenario()
def digest_identities(side):
    """Matches, mismatches, several at once; later requests only."""
    owner, other = side.connect(), side.connect()
    owner.call(auth("digest", b"bob:pw"))
    owner.call(create(side.path(), acls=[(31, "digest", BOB)]))
    owner.call(create(side.path("auth"), acls=[(31, "auth", "")]))
    for one in (owner, other):
        try_everything(one, side.path())
        one.call(get_acl(side.path("auth")))
    other.call(auth("digest", b"bob:wrong"))
    other.call(get_data(side.path()))
    other.call(who_am_i())
    other.call(auth("digest", b"bob:pw", xid=5))
    other.call(get_data(side.path()))
    other.call(who_am_i())
    try_everything(other, side.path())
    again = side.resume(other)
    again.call(get_data(side.path()))
    again.call(who_am_i())


@scenario()
def digest_credentials_of_every_shape(side):
    """No colon, several, none at all, none sent."""
    for data in (b"bob:pw", b"bob", b"", b":", b":x", b"x:", b"a:b:c", b"\xff:\xfe", b"bob:" + b"p" * 500):
        connection = side.connect()
        connection.call(auth("digest", data))
        connection.call(who_am_i())
        connection.call(create(side.path("x"), acls=[(31, "auth", "")]))
        connection.call(create(side.path(), acls=[(31, "auth", "")]))
        connection.call(get_acl(side.path()))
        connection.call(delete(side.path()))


@scenario()
def failed_auth(side):
    """-115, then the connection closes; the session lives."""
    for scheme, data in (
        ("nonsense", b"x"), ("world", b"anyone"), ("auth", b""), ("super", b"x"), ("x509", b""),
        ("sasl", b""), ("", b"x"), (None, b"x"), ("digest", None), ("Digest", b"a:b"),
    ):
        connection = side.connect()
        connection.call(create(side.path(), flags=EPHEMERAL))
        connection.call(auth(scheme, data))
        connection.until_closed()
        again = side.resume(connection)
        again.call(exists(side.path()))
        again.close_session()


@scenario()
def auth_that_does_nothing(side):
    """The ip scheme takes anything; xids are echoed."""
    connection = side.connect()
    for data in (b"", b"127.0.0.1", None):
        connection.call(auth("ip", data))
    for xid in (0, 1, -1000, 2**31 - 1, -4):
        connection.call(auth("digest", b"a:b", xid=xid))
    connection.call(who_am_i())


@scenario()
def truncated_auth(side):
    """A packet that ends too early."""
    whole = auth("digest", b"bob:pw").body
    for end in (0, 3, 4, 8, 12, len(whole) - 1):
        connection = side.connect()
        connection.call(Request("auth", whole[:end], xid=-4))
        connection.until_closed()


@scenario()
def redaction(side):
    """Who sees whose hash in getACL."""
    owner, reader = side.connect(), side.connect()
    owner.call(auth("digest", b"bob:pw"))
    lists = (
        [(31, "digest", BOB), (1, "world", "anyone")], [(31, "digest", BOB), (16, "world", "anyone")],
        [(31, "digest", BOB), (17, "world", "anyone")], [(31, "digest", BOB), (2, "world", "anyone")],
        [(1, "digest", BOB), (1, "digest", "eve:x:"), (1, "ip", "127.0.0.1"), (16, "ip", "10.0.0.1")],
        [(1, "digest", ":x"), (1, "world", "anyone")],
    )
    for number, acls in enumerate(lists):
        path = f"{side.path()}{number}"
        owner.call(create(path, acls=acls))
        for one in (owner, reader):
            one.call(get_acl(path))


@scenario()
def addresses(side):
    """ip ACLs and their masks."""
    connection = side.connect()
    connection.call(create(side.path()))
    for number, who in enumerate((
        "127.0.0.1", "127.0.0.2", "127.0.0.0/8", "127.0.0.0/31", "127.0.0.2/31", "0.0.0.0/0",
        "128.0.0.0/1", "126.0.0.0/7", "::1", "::/0", "127.0.0.1/32", "10.0.0.0/8",
    )):
        path = side.path(f"n{number}")
        connection.call(create(path, acls=[(31, "ip", who)]))
        connection.call(get_data(path))
        connection.call(get_acl(path))


@scenario(properties={"zookeeper.DigestAuthenticationProvider.superDigest": SUPER})
def super_user(side):
    """Passes every ACL, also of the reserved nodes."""
    boss, other = side.connect(), side.connect()
    other.call(create(side.path(), acls=[(0, "digest", BOB)]))
    for data in (b"super:wrong", b"super:test"):
        boss.call(auth("digest", data))
        boss.call(who_am_i())
        try_everything(boss, side.path())
    boss.call(set_acl(side.path(), [(31, "auth", "")]))
    boss.call(get_acl(side.path()))
    for path in ("/zookeeper/config", "/zookeeper", "/zookeeper/quota"):
        boss.call(set_data(path, b"x"))
        boss.call(delete(path))
    boss.call(set_acl("/zookeeper/config", OPEN))
    boss.call(get_data("/zookeeper/config"))


@scenario(cfg={"skipACL": "yes"})
def without_acls(side):
    """skipACL: lists are still checked for form, and never for permission."""
    connection = side.connect()
    for acls in ([(0, "world", "anyone")], [], None, [(31, "nonsense", "")], [(31, "auth", "")]):
        connection.call(create(side.path(), acls=acls))
        try_everything(connection, side.path())
        connection.call(get_acl(side.path()))
        connection.call(delete(side.path()))


@scenario(cfg={"skipACL": "true"})
def without_acls_misspelt(side):
    """Only the word yes switches them off."""
    connection = side.connect()
    connection.call(create(side.path(), acls=[(0, "world", "anyone")]))
    connection.call(get_data(side.path()))


@scenario(cfg={"enforce.auth.enabled": "true", "enforce.auth.schemes": "digest"})
def enforced(side):
    """-124 and the end for everything but auth, until there is an identity of the scheme."""
    for request in (
        exists("/"), ping(), create(side.path()), close_session(), sync("/"), who_am_i(),
        Request(77), Request("sasl", i32(-1)), Request("sasl", i32(0)), Request("multi", b""),
    ):
        connection = side.connect()
        connection.call(request)
        connection.call(exists("/"))
        connection.until_closed()
    connection = side.connect()
    connection.call(auth("ip", b""))
    connection.call(auth("digest", b"bob:pw"))
    connection.call(create(side.path()))
    connection.call(exists(side.path()))
    connection.close_session()


@scenario(cfg={"enforce.auth.enabled": "true", "enforce.auth.schemes": "digest,ip"})
def enforced_by_address(side):
    """Listing ip lets everybody in."""
    connection = side.connect()
    connection.call(exists("/"))


@scenario(properties={"zookeeper.DigestAuthenticationProvider.digestAlg": "SHA-256"})
def another_digest(side):
    """A configured algorithm changes the identity."""
    connection = side.connect()
    connection.call(auth("digest", b"bob:pw"))
    connection.call(create(side.path(), acls=[(31, "auth", "")]))
    connection.call(get_acl(side.path()))


@scenario(properties={"zookeeper.DigestAuthenticationProvider.enabled": "false"})
def without_digest(side):
    """The scheme is gone."""
    connection = side.connect()
    connection.call(create(side.path(), acls=[(31, "digest", BOB)]))
    connection.call(auth("digest", b"bob:pw"))
    connection.until_closed()


@scenario()
def in_flight(side):
    """Requests keep the identities that they were sent with, whatever comes behind them."""
    connection = side.connect()
    connection.call(create(side.path(), acls=[(31, "digest", BOB)]))
    connection.call(get_data(side.path()))
    connection.call(auth("digest", b"bob:pw"))
    connection.pipeline(get_data(side.path()), set_data(side.path(), b"1"), get_data(side.path()))
