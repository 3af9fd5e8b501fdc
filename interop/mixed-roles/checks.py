"""What every member of an ensemble must be able to do, whatever its role and whoever leads.

A check takes a running ensemble and returns what is wrong, or nothing; asserting is as good.
"""

import time

from session import Event, Refused, Session, tree, tree_difference
from wire import (
    CONTAINER, EPHEMERAL, OPEN, SEQUENTIAL, TTL_SEQUENTIAL, add_watch, auth, check, create,
    create2, create_container, create_ttl, delete, exists, get_acl, get_all_children_number,
    get_children, get_data, get_ephemerals, multi, multi_read, reconfig, set_acl, set_data, sync,
    who_am_i,
)

NO_NODE, BAD_VERSION, NO_CHILDREN_FOR_EPHEMERALS, NODE_EXISTS, NOT_EMPTY = (
    -101, -103, -108, -110, -111)
NO_AUTH, INVALID_ACL, SESSION_MOVED, RECONFIG_DISABLED, BAD_ARGUMENTS = (
    -102, -114, -118, -123, -8)
SHORT_MS = 2_000
# Expiry is rounded up to a tick, twice on a bad day; then comes what a busy machine adds.
EXPIRY_S = SHORT_MS / 1000 + 6
# What is decided by syncLimit, and an election, on a busy machine.
PAUSE_S = 60
READ_ONLY = [(1, "world", "anyone")]


def by(member):
    """Where a member's own writes go."""
    return f"/by{member.sid}"


def writes(root):
    """(request, error) of every kind of write, in order; the ephemerals end with the session."""
    far_ms = 3_600_000
    return [
        (create(root, b"root"), 0),
        (create(f"{root}/p", b"data"), 0),
        (create(f"{root}/p", b"again"), NODE_EXISTS),
        (create(f"{root}/no/p"), NO_NODE),
        (create(f"{root}/null", None), 0),
        (create2(f"{root}/two", b"2" * 70_000), 0),
        (create(f"{root}/s-", b"", flags=SEQUENTIAL), 0),
        (create(f"{root}/s-", b"", flags=SEQUENTIAL), 0),
        (create(f"{root}/e", b"", flags=EPHEMERAL), 0),
        (create(f"{root}/e/below"), NO_CHILDREN_FOR_EPHEMERALS),
        (create(f"{root}/e-", b"", flags=EPHEMERAL | SEQUENTIAL), 0),
        (create_container(f"{root}/c", flags=CONTAINER), 0),
        (create_ttl(f"{root}/t", far_ms), 0),
        (create_ttl(f"{root}/t-", far_ms, flags=TTL_SEQUENTIAL), 0),
        (set_data(f"{root}/p", b"set"), 0),
        (set_data(f"{root}/p", None), 0),
        (set_data(f"{root}/p", b"?", version=77), BAD_VERSION),
        (set_data(f"{root}/no", b"?"), NO_NODE),
        (create(f"{root}/bad", acls=[]), INVALID_ACL),
        (set_acl(f"{root}/null", READ_ONLY), 0),
        (create(f"{root}/mine", b"mine", acls=[(31, "auth", "")]), 0),
        (set_data(f"{root}/mine", b"still mine"), 0),
        (delete(f"{root}/two", version=5), BAD_VERSION),
        (delete(f"{root}/two"), 0),
        (delete(f"{root}/two"), NO_NODE),
        (delete(root), NOT_EMPTY),
        # Not before the leader has the list: see `leader_reads_only`.
        (set_data(f"{root}/null", b"?"), NO_AUTH),
        (reconfig(members="server.9=127.0.0.1:1:2;3"), RECONFIG_DISABLED),
    ]


def reads(root, member):
    """Reads that succeed through this member once `writes` have been done."""
    since_37 = [] if member.version.startswith("3.6.") else [who_am_i()]
    return [
        exists(f"{root}/p"), get_data(f"{root}/p"), get_children(root), get_ephemerals(root),
        get_all_children_number("/"), multi_read(get_data(root), get_children(root)), *since_37,
    ]


def multi_codes(reader):
    """The error of each result of a multi whose results are errors."""
    codes = []
    while True:
        kind, done, _ = reader.i32(), reader.take(1)[0], reader.i32()
        if done:
            return codes
        assert kind == -1, f"a result of type {kind}"
        codes.append(reader.i32())


def leader_reads_only(ensemble, path):
    """Waits until the leader's own tree has the list READ_ONLY. Before that an Apache leader still
    judges by the list of before, though it was another member's client that set the new one and has
    its answer."""
    def has_list():
        acl = session.must(get_acl(path))
        return (acl.i32(), acl.i32()) == (1, READ_ONLY[0][0])
    with Session(ensemble.leader().address) as session:
        ensemble.wait(has_list, f"the leader to have the ACL of {path}", 10)


def every_operation(ensemble):
    """Every write and read through every member, with the errors that Apache gives."""
    for member in ensemble:
        root = by(member)
        with Session(member.address) as session:
            assert session.code(auth("digest", b"ben:secret")) == 0, "auth"
            for number, (request, wanted) in enumerate(writes(root)):
                if wanted == NO_AUTH:
                    leader_reads_only(ensemble, f"{root}/null")
                got = session.code(request)
                what = f"{member.name}: write {number}, {request.op} {request.body[:40]!r}"
                assert got == wanted, f"{what}: error {got}, not {wanted}"
            for request in reads(root, member):
                got = session.code(request)
                assert got == 0, f"{member.name}: {request.op}: error {got}"
            good = multi(create(f"{root}/m", b"m"), set_data(f"{root}/m", b"mm"),
                         check(f"{root}/m", 1), create(f"{root}/m/gone"), delete(f"{root}/m/gone"))
            assert session.code(good) == 0, f"{member.name}: multi"
            bad = multi(create(f"{root}/never"), delete(f"{root}/no"), create(f"{root}/nor"))
            codes = multi_codes(session.call(bad)[1])
            assert codes == [0, NO_NODE, -2], f"{member.name}: failed multi: {codes}"
            assert session.code(exists(f"{root}/never")) == NO_NODE, "half a multi was done"


def refused_by_ours(ensemble):
    """What our own leader refuses reaches no other kind of leader through our members."""
    reserved = "/zookeeper/quota/zookeeper_limits"
    for member in ensemble:
        if member.kind != "oxkeeper":
            continue
        beside = f"{by(member)}/beside"
        with Session(member.address) as session:
            for request in (create(reserved), create2(reserved), create_container(reserved),
                            create_ttl(by(member) + "/live", -1, flags=0)):
                got = session.code(request)
                assert got == BAD_ARGUMENTS, f"{member.name}: {request.op}: error {got}"
            codes = multi_codes(session.call(multi(create(beside), create(reserved)))[1])
            assert codes == [0, BAD_ARGUMENTS], f"{member.name}: multi: {codes}"
            assert session.code(exists(beside)) == NO_NODE, "half a multi was done"


def ordered_within_a_session(ensemble):
    """Pipelined on one connection, a read sees the write before it and nothing later."""
    for member in ensemble:
        path = f"{by(member)}/order"
        with Session(member.address) as session:
            session.must(create(path))
            for number in range(50):
                session.send(set_data(path, b"%d" % number), get_data(path))
            for number in range(50):
                assert session.reply()[0] == 0, f"{member.name}: a pipelined write failed"
                seen = session.reply()[1].buf()
                assert seen == b"%d" % number, f"{member.name}: read {seen} after write {number}"


def syncs_between_writes(ensemble):
    """Writes, reads and syncs pipelined on one connection are all answered, in order."""
    for member in ensemble:
        path = f"{by(member)}/between"
        with Session(member.address, wait_s=5) as session:
            session.must(create(path))
            burst = (set_data(path, b"1"), sync(path), set_data(path, b"2"), get_data(path),
                     create(path), sync(path), set_acl(path, OPEN))
            for number in range(60):
                first = session.xid + 1
                session.send(*burst)
                for xid, request in enumerate(burst, first):
                    what = f"{member.name}, burst {number}, {request.op} {xid - first}"
                    try:
                        answered, error, _ = session.next_frame()
                    except TimeoutError:
                        raise AssertionError(f"{what}: no answer") from None
                    assert answered == xid, f"{what}: xid {answered - first} instead"
                    wanted = NODE_EXISTS if request.op == "create" else 0
                    assert error == wanted, f"{what}: error {error}"


def synced_reads(ensemble):
    """After a sync, a member shows what another one has acknowledged."""
    sessions = [Session(member.address) for member in ensemble]
    sessions[0].must(create("/synced"))
    number = 0
    for _ in range(10):
        for writer in sessions:
            for reader in sessions:
                number += 1
                writer.must(set_data("/synced", b"%d" % number))
                # Ours keep the order even if the read does not wait for the sync's reply.
                member = ensemble.members[sessions.index(reader)]
                if member.kind == "oxkeeper":
                    reader.send(sync("/synced"), get_data("/synced"))
                    assert reader.reply()[0] == 0, "sync failed"
                    seen = reader.reply()[1].buf()
                else:
                    reader.must(sync("/synced"))
                    seen = reader.must(get_data("/synced")).buf()
                assert seen == b"%d" % number, f"{member.name}: {seen} after sync, not {number}"
    for session in sessions:
        session.close()


def watches(ensemble):
    """Watches of every kind fire on every member, in the order of the transactions."""
    with Session(ensemble[1].address) as writer:
        writer.must(create("/w"))
        writer.must(create("/w/d"))
    plain, recursive = [], []
    for member in ensemble:
        one, two = Session(member.address), Session(member.address)
        for session in (one, two):
            session.must(sync("/w"))
        one.must(get_data("/w/d", watch=True))
        assert one.code(exists("/w/new", watch=True)) == NO_NODE
        one.must(get_children("/w", watch=True))
        two.must(add_watch("/w", 1))
        plain.append(one)
        recursive.append(two)
    # Through different members, one after the other.
    for at, request in enumerate([set_data("/w/d", b"1"), create("/w/new"), delete("/w/d")]):
        with Session(ensemble.members[-1 - at].address) as writer:
            writer.must(sync("/w"))
            writer.must(request)
    changed, gone = Event("changed", "/w/d"), Event("deleted", "/w/d")
    new = Event("created", "/w/new")
    for wanted, sessions in (([changed, new, Event("children", "/w")], plain),
                             ([changed, new, gone], recursive)):
        for member, session in zip(ensemble, sessions):
            seen = [session.event(5) for _ in wanted]
            assert seen == wanted, f"{member.name}: {seen}, not {wanted}"
            session.close()


def await_gone(ensemble, paths, wait_s, what):
    """Waits until no member has any of the paths."""
    deadline = time.monotonic() + wait_s
    for member in ensemble:
        with Session(member.address) as session:
            left = set(paths)
            while left:
                session.must(sync("/"))
                left = {path for path in left if session.code(exists(path)) == 0}
                assert time.monotonic() < deadline, f"{member.name}: {what} still there: {left}"
                time.sleep(0.05)


def sessions_move(ensemble, told_of_moves=True):
    """A session goes from member to member with its password and its ephemeral. What its former
    connection still sends is refused, where somebody is `told_of_moves`."""
    members = list(ensemble)
    for member, other in zip(members, members[1:] + members[:1]):
        path = f"{by(member)}/moved"
        old = Session(member.address)
        old.must(create(path, flags=EPHEMERAL))
        try:
            Session(other.address, session=old.id, password=b"x" * 16).close()
            raise AssertionError(f"{other.name} took a wrong password")
        except Refused:
            pass
        new = patiently_moved(old, other)
        assert (new.id, new.password) == (old.id, old.password), "another session came back"
        new.must(set_data(path, b"moved"))
        if told_of_moves:
            stale_write(old, member, path)
        else:
            old.drop()
        back = patiently_moved(new, member)
        back.must(set_data(path, b"back"))
        new.drop()
        back.close()
        await_gone(ensemble, [path], 5, "an ephemeral of a closed session")


def patiently_moved(session, member):
    """Takes a session to a member that may still be busy closing its former connection there, or
    that has not applied yet what the client has seen; that may cost a connection or two, as any
    client knows, but not the session."""
    for _ in range(10):
        try:
            return session.moved(member.address)
        except Refused:
            raise
        except ConnectionError:
            time.sleep(0.05)
    raise AssertionError(f"{member.name} does not take the session back")


def stale_write(old, member, path):
    """A write on the connection that a session has left is refused, or the connection is closed."""
    try:
        code = old.code(set_data(path, b"stale"))
        assert code == SESSION_MOVED, f"{member.name}: a write of a moved session: {code}"
    except ConnectionError:
        pass
    old.drop()


def expiry(ensemble):
    """The leader expires silent sessions of all members, and none that pings; TTLs and empty
    containers go, too."""
    lively, silent, gone = [], [], {}
    for member in ensemble:
        alive = short_session(member)
        lively.append(alive)
        for request in (create(f"{by(member)}/lively", flags=EPHEMERAL),
                        create_ttl(f"{by(member)}/ttl", 300),
                        create_container(f"{by(member)}/empty"),
                        create(f"{by(member)}/empty/child"), delete(f"{by(member)}/empty/child")):
            alive.must(request)
            ping_all(lively)
        gone |= {f"{by(member)}/{name}": float("-inf") for name in ("ttl", "empty")}
    for member in ensemble:
        quiet = short_session(member)
        silent.append(quiet)
        gone[f"{by(member)}/silent"] = time.monotonic()
        quiet.must(create(f"{by(member)}/silent", flags=EPHEMERAL))
        ping_all(lively)
    # Whoever is asked below has all of it now.
    lively[0].must(sync("/"))
    left, deadline = set(gone), time.monotonic() + EXPIRY_S
    while left and time.monotonic() < deadline:
        ping_all(lively)
        for path in sorted(left):
            if lively[0].code(exists(path)) != 0:
                left.discard(path)
                lived_s = time.monotonic() - gone[path]
                assert lived_s > SHORT_MS / 1000 - 0.6, f"{path} was gone after {lived_s:.2f} s"
        time.sleep(SHORT_MS / 1000 / 8)
    assert not left, f"still there after {EXPIRY_S} s: {sorted(left)}"
    await_gone(ensemble, gone, 10, "what the leader removed")
    for member, quiet, alive in zip(ensemble, silent, lively):
        alive.must(exists(f"{by(member)}/lively"))
        quiet.sock.settimeout(10)
        try:
            quiet.ping()
            raise AssertionError(f"{member.name}: an expired session is still served")
        except ConnectionError:
            pass
        alive.close()


def short_session(member):
    """A session with a short timeout, which the member must grant."""
    session = Session(member.address, SHORT_MS)
    assert session.timeout == SHORT_MS, f"{member.name} gave {session.timeout} ms"
    return session


def ping_all(sessions):
    """A ping of each: whatever a busy machine delays, none of them is silent for long."""
    for session in sessions:
        session.ping()


def roles_told(ensemble):
    """mntr of each member tells its role, and the leader how many are with it."""
    for member in ensemble:
        told, role = member.mntr().get("zk_server_state"), member.role()
        assert told == role, f"{member.name}: mntr says {told}, srvr {role}"
    leader = ensemble.leader().mntr()
    observers = sum(one.observer for one in ensemble)
    for key, wanted in (("zk_synced_followers", len(ensemble.voters) - 1),
                        ("zk_synced_observers", observers),
                        ("zk_learners", len(ensemble.members) - 1)):
        told = leader.get(key)
        assert told == str(wanted), f"{ensemble.leader().name}: {key} {told}, not {wanted}"


def pause(ensemble):
    """A follower that stands still for longer than syncLimit is given up by the leader, who goes
    on; when it wakes up it comes back to the same leader by itself and has all that it missed."""
    leader, member = ensemble.leader(), ensemble[1]
    assert member.role() == "follower", f"{member.name} is {member.role()}"
    synced = len(ensemble.voters) - 1
    epoch = int(leader.srvr("Zxid"), 16) >> 32
    member.suspend()
    try:
        with Session(leader.address) as session:
            session.must(create("/pause", b"-1"))
            for number in range(20):
                session.must(set_data("/pause", b"%d" % number))
        ensemble.wait(lambda: leader.mntr().get("zk_synced_followers") == str(synced - 1),
                      f"{leader.name} gives {member.name} up", PAUSE_S)
    finally:
        member.resume()
    ensemble.wait(lambda: leader.mntr().get("zk_synced_followers") == str(synced)
                  and member.role() == "follower", f"{member.name} comes back", PAUSE_S)
    with Session(member.address) as session:
        session.must(sync("/"))
        seen = session.must(get_data("/pause")).buf()
        assert seen == b"19", f"{member.name} shows {seen}"
        session.must(set_data("/pause", b"back"))
    now = int(leader.srvr("Zxid"), 16) >> 32
    assert leader.role() == "leader" and now == epoch, f"epoch {now} instead of {epoch}"
    return trees_equal(ensemble)


def same_trees(ensemble):
    """The tree that all members show, or what is different."""
    first = tree(ensemble[1].address)
    for member in ensemble.members[1:]:
        text = tree_difference(first, tree(member.address))
        if text:
            return f"member 1 | {member.name}:\n{text}"
    return first


def trees_equal(ensemble):
    """Every member shows the same znodes, data, stats and ACLs."""
    result = same_trees(ensemble)
    return None if isinstance(result, dict) else result


def digests_met(ensemble):
    """No member has computed another digest than a transaction says."""
    told = {member.name: member.mntr().get("zk_digest_mismatches_count") for member in ensemble}
    bad = {name: count for name, count in told.items() if count != "0"}
    return f"digests not met: {bad}" if bad else None


CHECKS = (
    ("every operation through every member", every_operation),
    ("what is refused stays with us", refused_by_ours),
    ("reads see the session's own writes", ordered_within_a_session),
    ("syncs between writes", syncs_between_writes),
    ("sync", synced_reads),
    ("watches", watches),
    ("sessions move", sessions_move),
    ("expiry, TTL and containers", expiry),
    ("mntr tells the roles", roles_told),
    ("all trees are equal", trees_equal),
    ("all digests agree", digests_met),
)
