"""ACLs, identities and quotas as a Python program sees them."""

import threading
import uuid

from kazoo.exceptions import AuthFailedError, InvalidACLError, NoAuthError
from kazoo.security import CREATOR_ALL_ACL, READ_ACL_UNSAFE, make_acl, make_digest_acl
from kazoo.security import make_digest_acl_credential

import pytest


def fresh(name):
    """A path nobody else uses."""
    return f"/{name}-{uuid.uuid4().hex}"


def test_creator_only_node_is_closed_to_everybody_else(connect):
    """`auth` in an ACL means: whoever I am now."""
    path = fresh("acl")
    bob = connect(auth_data=[("digest", "bob:pw")])
    bob.create(path, b"secret", acl=CREATOR_ALL_ACL)
    with pytest.raises(NoAuthError):
        connect().get(path)
    with pytest.raises(NoAuthError):
        connect(auth_data=[("digest", "bob:other")]).get(path)
    assert connect(auth_data=[("digest", "bob:pw")]).get(path)[0] == b"secret"


def test_digest_is_shown_only_to_those_who_may_change_it(connect):
    """getACL hides the hash from a reader without ADMIN."""
    path = fresh("acl")
    owner = connect(auth_data=[("digest", "bob:pw")])
    owner.create(path, acl=[make_digest_acl("bob", "pw", all=True), *READ_ACL_UNSAFE])
    ids = lambda client: {acl.id.id for acl in client.get_acls(path)[0]}  # noqa: E731
    assert ids(connect()) == {"bob:x", "anyone"}
    assert ids(owner) == {make_digest_acl_credential("bob", "pw"), "anyone"}


def test_identity_can_be_added_to_a_running_connection(connect):
    """add_auth counts for later requests."""
    path = fresh("acl")
    client = connect()
    client.create(path, acl=[make_digest_acl("eve", "pw", read=True)])
    with pytest.raises(NoAuthError):
        client.get(path)
    client.add_auth("digest", "eve:pw")
    assert client.get(path)[0] == b""


def test_super_user_may_do_everything(connect):
    """The configured super digest passes every ACL."""
    path = fresh("acl")
    connect().create(path, b"x", acl=[make_digest_acl("nobody", "pw", read=True)])
    boss = connect(auth_data=[("digest", "super:test")])
    assert boss.get(path)[0] == b"x"
    boss.set(path, b"y")
    boss.delete(path)


def test_bad_acls_are_refused(connect):
    """Unknown schemes, bad addresses, and `auth` without an identity."""
    client = connect()
    for scheme, who in (("nonsense", "x"), ("ip", "300.1.1.1"), ("world", "you"), ("auth", "")):
        with pytest.raises(InvalidACLError):
            client.create(fresh("acl"), acl=[make_acl(scheme, who, read=True)])


def test_unknown_auth_scheme_fails(connect):
    """The server says so and closes the connection."""
    client = connect()
    with pytest.raises(AuthFailedError):
        client.add_auth("nonsense", "x:y")


def test_set_acl_counts_versions_of_its_own(connect):
    """The ACL's version guards a change made from an old copy."""
    path, client = fresh("acl"), connect()
    client.create(path)
    stat = client.set_acls(path, READ_ACL_UNSAFE, version=0)
    assert (stat.aversion, stat.version) == (1, 0)
    with pytest.raises(NoAuthError):
        client.set(path, b"")


def test_quota_statistics_follow_the_subtree(connect):
    """Under /zookeeper/quota a limits node names a subtree and a stats node counts it."""
    path, client = fresh("quota"), connect()
    client.create(path, b"12345")
    root = f"/zookeeper/quota{path}"
    client.create(f"{root}/zookeeper_limits", b"count=3,bytes=100", makepath=True)
    client.create(f"{root}/zookeeper_stats", b"count=0,bytes=0")
    client.create(f"{path}/child", b"123")
    data, stat = client.get(f"{root}/zookeeper_stats")
    assert data.startswith(b"count=2,bytes=8") and stat.version == 0
    client.delete(f"{path}/child")
    assert client.get(f"{root}/zookeeper_stats")[0].startswith(b"count=1,bytes=5")


def test_children_are_counted_and_ephemerals_owned(connect):
    """Stat fields that programs look at."""
    path, client = fresh("stat"), connect()
    client.create(path)
    client.create(f"{path}/e", ephemeral=True)
    stat = client.exists(path)
    assert (stat.numChildren, stat.cversion, stat.ephemeralOwner) == (1, 1, 0)
    assert client.exists(f"{path}/e").ephemeralOwner == client.client_id[0]


def test_watch_fires_once_for_each_kind(connect):
    """One-shot watches: data, child and a node that is not there yet."""
    path, client = fresh("watch"), connect()
    fired, done = [], threading.Event()

    def note(event):
        fired.append(event.type)
        if len(fired) == 3:
            done.set()

    client.exists(path, watch=note)
    client.create(path)
    client.get(path, watch=note)
    client.set(path, b"1")
    client.set(path, b"2")
    client.get_children(path, watch=note)
    client.create(f"{path}/c")
    assert done.wait(15)
    assert fired == ["CREATED", "CHANGED", "CHILD"]
