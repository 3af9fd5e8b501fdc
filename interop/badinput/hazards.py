"""Input that is legal on the wire but that no honest client sends, and our rule for each.

The rule about read-only servers needs an ensemble that has lost its quorum and is tested there.
"""

from probe import Bystander, Session, ends
from wire import CONTAINER, OPEN, Request, acl, buf, check, create, create2, create_container
from wire import create_ttl, delete, exists, flag, get_children, get_data, i32, i64, multi
from wire import set_acl, set_data, vector


def ttl_of_nodes_without_ttl(server):
    """createTTL with a flag that is no TTL flag and a negative ttl: -8, nothing is made."""
    with Session(server) as session:
        for flags in range(0, 5):
            for ttl in (-1, -1000, -(2**63)):
                error = session.call(create_ttl(f"/h1-{flags}{ttl}", ttl, flags=flags))
                assert error == -8, f"flags {flags} ttl {ttl}: {error}"
                assert session.call(exists(f"/h1-{flags}{ttl}")) == -101
        Bystander(server).check()


def write_bodies():
    """Every write that is not a multi, with a complete body."""
    return (
        create("/h2", b"data"), create2("/h2", b"data"), create_container("/h2", b"data"),
        create_ttl("/h2", 1000, b"data"), delete("/h2"), set_data("/h2", b"data"),
        set_acl("/h2", OPEN),
    )


def truncated_writes(server):
    """-5 wherever the body ends too early; no zxid is taken, the connection goes on."""
    with Session(server) as session:
        before = session.last_zxid()
        for request in write_bodies():
            for end in range(len(request.body)):
                error = session.call(Request(request.op, request.body[:end]))
                assert error == -5, f"{request.op} cut at {end}: {error}"
        assert session.last_zxid() == before, "an unparsable write took a zxid"
        assert session.call(create("/h2")) == 0
        assert session.last_zxid() == before + 1


def lengths_inside_writes(server):
    """The same for lengths and counts that cannot be."""
    with Session(server) as session:
        before = session.last_zxid()
        for length in (-2, -(2**31), 2**31 - 1, 2**24):
            bodies = (
                i32(length) + b"/x", buf("/x") + i32(length), buf("/x") + buf(b"") + i32(max(length, 2**20)),
                buf("/x") + buf(b"") + i32(1) + i32(31) + i32(length),
            )
            for op in ("create", "create2", "createContainer", "createTTL"):
                for body in bodies:
                    error = session.call(Request(op, body))
                    assert error == -5, f"{op} with a length {length}: {error}"
        assert session.last_zxid() == before
        assert session.call(create("/h2b")) == 0


def multis_that_cannot_be_read(server):
    """-5 as a whole, nothing done, the connection goes on."""
    with Session(server) as session:
        assert session.call(create("/h2c")) == 0
        good = set_data("/h2c", b"x")
        whole = multi(good, create("/h2c/a"), delete("/h2c/b"), check("/h2c"))
        null_acl = Request("create", buf("/h2c/n") + buf(b"") + vector(None, acl) + i32(0))
        for end in range(len(whole.body)):
            error = session.call(Request("multi", whole.body[:end]))
            assert error == -5, f"multi cut at {end}: {error}"
        for request in (multi(null_acl), multi(good, null_acl), multi(null_acl, good)):
            error = session.call(request)
            assert error == -5, f"multi with a null ACL list: {error}"
        assert session.call(create("/h2c/a")) == 0, "an unreadable multi did something"
        Bystander(server).check()


def limits_of_the_quota_root(server):
    """A quota on everything cannot be: -8, in each way it may be asked for."""
    path = "/zookeeper/quota/zookeeper_limits"
    with Session(server) as session:
        for request in (create(path), create2(path), create_container(path)):
            assert session.call(request) == -8
        assert session.call(exists(path)) == -101
        session.send(multi(create("/h3"), create(path)))
        _, _, error, _ = session.reply()
        assert error == 0 and session.call(exists("/h3")) == -101
        Bystander(server).check()


def garbage_in_quota_nodes(server):
    """Text that is no quota counts as none; writes below go on."""
    garbage = (
        b"", None, b"garbage", b"count=x,bytes=y", b"count=1", b"=", b"count==,bytes", b"\xff\xfe",
        b"count=99999999999999999999,bytes=1", b"count=1,bytes=1=;byteHardLimit=z", b",;,;=",
    )
    with Session(server) as session:
        for number, text in enumerate(garbage):
            name = f"h4-{number}"
            root = f"/zookeeper/quota/{name}"
            for request in (
                create(f"/{name}"), create(root), create(root + "/zookeeper_limits", text),
                create(root + "/zookeeper_stats", text), create(f"/{name}/a", b"1"),
                set_data(root + "/zookeeper_stats", text), create(f"/{name}/b", b"1"),
                set_data(root + "/zookeeper_limits", text), set_data(f"/{name}/b", b"22"),
                delete(f"/{name}/a"), get_data(root + "/zookeeper_stats"),
                delete(root + "/zookeeper_stats"), create(f"/{name}/c", b"1"),
            ):
                error = session.call(request)
                assert error == 0, f"{request.op} beside {text!r}: {error}"
        Bystander(server).check()


def operations_of_the_server_itself(server):
    """deleteContainer and createSession from a client: as an unknown operation."""
    with Session(server) as session:
        assert session.call(create_container("/h5")) == 0
    for request in (
        Request("deleteContainer", buf(buf("/h5")[4:])), Request("deleteContainer", b""),
        Request("createSession", i32(30_000)), Request("createSession", b""),
    ):
        with Session(server) as session:
            session.send(request)
            _, zxid, error, _ = session.reply()
            assert (error, zxid) == (-6, -1), f"{request.op}: {error} zxid {zxid}"
            assert ends(session.sock) == b""
            again = Session(server, session=session.session, password=session.password)
            assert again.session == session.session, "the session did not survive"
            assert again.call(exists("/h5")) == 0


def wrong_password_for_a_live_session(server):
    """The stranger is refused; the owner's connection does not notice."""
    with Session(server) as owner:
        assert owner.call(create("/h7", flags=1)) == 0
        for password in (bytes(16), b"x" * 16, None, b""):
            stranger = Session(server, session=owner.session, password=password)
            assert (stranger.timeout, stranger.session) == (0, 0)
            assert ends(stranger.sock) == b""
            assert owner.call(exists("/h7")) == 0
        owner.call(delete("/h7"))


def container_flags_of_other_creates(server):
    """They are there after a restart as they were before it."""
    def look(session):
        found = []
        for path in paths:
            session.send(exists(path))
            _, _, error, reader = session.reply()
            found.append((error, reader.rest()))
        return found

    with Session(server) as session:
        for flags in (0, 1, 2, 3, CONTAINER):
            for op in ("create", "create2", "createContainer"):
                session.call(create(f"/h9-{op}{flags}", b"x", OPEN, flags, op))
        session.send(get_children("/"))
        reader = session.reply()[3]
        names = [name.decode() for name in reader.vector(reader.buf)]
        paths = [f"/{name}" for name in names if name.startswith("h9-")]
        before = look(session)
    server.restart()
    # The ephemeral ones are still there: their session has not expired yet.
    with Session(server) as session:
        assert look(session) == before


def bodies_of_no_sense(server):
    """setWatches and auth bodies that cannot be: -5, or an end without harm."""
    with Session(server) as session:
        for body in (i64(0) + i32(2**31 - 1), i64(0) + vector([None] * 3) + i32(-1) + flag(1)):
            assert session.call(Request("setWatches", body)) == -5
    with Session(server) as session:
        session.send(Request("auth", i32(0) + i32(2**31 - 1), xid=-4))
        ends(session.sock)
    Bystander(server).check()


HAZARDS = (
    ttl_of_nodes_without_ttl, truncated_writes, lengths_inside_writes, multis_that_cannot_be_read,
    limits_of_the_quota_root, garbage_in_quota_nodes, operations_of_the_server_itself,
    wrong_password_for_a_live_session, container_flags_of_other_creates, bodies_of_no_sense,
)
