//! Drives a server with the crate `zookeeper-client` and checks what it answers.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::Duration;

use zk::{Acls, AddWatchMode, Client, CreateMode, CreateOptions, Error, EventType};
use zookeeper_client as zk;

const PATIENCE: Duration = Duration::from_secs(30);
const OPEN: CreateOptions<'static> = CreateMode::Persistent.with_acls(Acls::anyone_all());
const EPHEMERAL: CreateOptions<'static> = CreateMode::Ephemeral.with_acls(Acls::anyone_all());
const SEQUENTIAL: CreateOptions<'static> =
    CreateMode::PersistentSequential.with_acls(Acls::anyone_all());

fn hostport() -> String {
    std::env::var("ZK_HOSTPORT").expect("servers.py sets it")
}

fn connector() -> zk::Connector {
    Client::connector().with_session_timeout(Duration::from_secs(6))
}

async fn connect() -> Client {
    connector().connect(&hostport()).await.expect("the server runs")
}

/// A node of the test's own, and a client whose root it is.
async fn fresh(client: &Client, name: &str) -> Client {
    let prefix = format!("/rust-{name}-");
    let (_, sequence) = client.create(&prefix, b"", &SEQUENTIAL).await.unwrap();
    client.clone().chroot(format!("{prefix}{sequence}")).unwrap()
}

async fn within<T>(future: impl std::future::Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it takes less")
}

#[tokio::test]
async fn nodes_are_created_read_changed_and_deleted() {
    let zk = fresh(&connect().await, "nodes").await;
    let (created, _) = zk.create("/a", b"one", &OPEN).await.unwrap();
    assert_eq!(zk.get_data("/a").await.unwrap(), (b"one".to_vec(), created));
    assert_eq!(created.czxid, created.mzxid);
    assert_eq!(created.data_length, 3);
    assert_eq!(zk.set_data("/a", b"two", Some(0)).await.unwrap().version, 1);
    assert_eq!(zk.set_data("/a", b"x", Some(0)).await.unwrap_err(), Error::BadVersion);
    assert_eq!(zk.create("/a", b"", &OPEN).await.unwrap_err(), Error::NodeExists);
    assert_eq!(zk.create("/no/b", b"", &OPEN).await.unwrap_err(), Error::NoNode);
    zk.mkdir("/a/b/c", &OPEN).await.unwrap();
    assert_eq!(zk.delete("/a", None).await.unwrap_err(), Error::NotEmpty);
    assert_eq!(zk.list_children("/a").await.unwrap(), ["b"]);
    assert_eq!(zk.count_descendants_number("/a").await.unwrap(), 2);
    zk.delete("/a/b/c", Some(0)).await.unwrap();
    assert_eq!(zk.check_stat("/a/b/c").await.unwrap(), None);
    zk.sync("/a").await.unwrap();
}

#[tokio::test]
async fn every_kind_of_node() {
    let zk = fresh(&connect().await, "kinds").await;
    let own = zk.create("/e", b"", &EPHEMERAL).await.unwrap().0;
    assert_eq!(format!("{:#x}", own.ephemeral_owner), zk.session_id().to_string());
    let child = zk.create("/e/c", b"", &EPHEMERAL).await.unwrap_err();
    assert_eq!(child, Error::NoChildrenForEphemerals);
    let (_, sequence) = zk.create("/s-", b"", &SEQUENTIAL).await.unwrap();
    assert_eq!(sequence.to_string(), "0000000001");
    let hour = Duration::from_secs(3600);
    let ttl = zk.create("/ttl", b"", &OPEN.with_ttl(hour)).await.unwrap().0;
    let container = CreateMode::Container.with_acls(Acls::anyone_all());
    let box_ = zk.create("/box", b"", &container).await.unwrap().0;
    assert_eq!((ttl.ephemeral_owner, box_.ephemeral_owner), (0, 0));
    assert_eq!(zk.list_ephemerals("/").await.unwrap(), ["/e"]);
}

#[tokio::test]
async fn one_shot_watches_fire() {
    let (zk, other) = (connect().await, connect().await);
    let zk = fresh(&zk, "watches").await;
    let other = other.chroot(zk.path().to_owned()).unwrap();
    let (stat, created) = zk.check_and_watch_stat("/a").await.unwrap();
    assert_eq!(stat, None);
    let (_, children) = zk.list_and_watch_children("/").await.unwrap();
    other.create("/a", b"", &OPEN).await.unwrap();
    let event = within(created.changed()).await;
    assert_eq!((event.event_type, event.path.as_str()), (EventType::NodeCreated, "/a"));
    let event = within(children.changed()).await;
    assert_eq!(event.event_type, EventType::NodeChildrenChanged);
    let (_, _, changed) = zk.get_and_watch_data("/a").await.unwrap();
    let set = other.set_data("/a", b"x", None).await.unwrap();
    let event = within(changed.changed()).await;
    assert_eq!((event.event_type, event.zxid), (EventType::NodeDataChanged, set.mzxid));
}

#[tokio::test]
async fn persistent_watches_stay_until_dropped() {
    let zk = fresh(&connect().await, "persistent").await;
    let mut one = zk.watch("/a", AddWatchMode::Persistent).await.unwrap();
    let mut all = zk.watch("/a", AddWatchMode::PersistentRecursive).await.unwrap();
    zk.create("/a", b"", &OPEN).await.unwrap();
    zk.create("/a/b", b"", &OPEN).await.unwrap();
    zk.delete("/a/b", None).await.unwrap();
    zk.delete("/a", None).await.unwrap();
    use EventType::{NodeChildrenChanged, NodeCreated, NodeDeleted};
    for kind in [NodeCreated, NodeChildrenChanged, NodeChildrenChanged, NodeDeleted] {
        assert_eq!(within(one.changed()).await.event_type, kind);
    }
    for (kind, path) in
        [(NodeCreated, "/a"), (NodeCreated, "/a/b"), (NodeDeleted, "/a/b"), (NodeDeleted, "/a")]
    {
        let event = within(all.changed()).await;
        assert_eq!((event.event_type, event.path.as_str()), (kind, path));
    }
    drop(one);
    drop(all);
    zk.create("/a", b"", &OPEN).await.unwrap();
}

#[tokio::test]
async fn a_transaction_is_done_wholly_or_not_at_all() {
    let zk = fresh(&connect().await, "multi").await;
    zk.create("/old", b"", &OPEN).await.unwrap();
    let mut writer = zk.new_multi_writer();
    writer.add_create("/new", b"n", &OPEN).unwrap();
    writer.add_set_data("/old", b"o", Some(0)).unwrap();
    writer.add_check_version("/old", 1).unwrap();
    writer.add_delete("/old", Some(1)).unwrap();
    let results = writer.commit().await.unwrap();
    assert_eq!(results.len(), 4);
    let zk::MultiWriteResult::Create { path, stat } = &results[0] else {
        panic!("not a create: {results:?}");
    };
    assert_eq!((path.as_str(), stat.data_length), ("/new", 1));
    let mut writer = zk.new_multi_writer();
    writer.add_create("/never", b"", &OPEN).unwrap();
    writer.add_delete("/missing", None).unwrap();
    let refused = writer.commit().await.unwrap_err();
    let expected = zk::MultiWriteError::OperationFailed { index: 1, source: Error::NoNode };
    assert_eq!(refused, expected);
    let mut reader = zk.new_multi_reader();
    reader.add_get_data("/new").unwrap();
    reader.add_get_data("/never").unwrap();
    reader.add_get_children("/").unwrap();
    let results = reader.commit().await.unwrap();
    assert!(matches!(&results[0], zk::MultiReadResult::Data { data, .. } if data == b"n"));
    assert!(matches!(&results[1], zk::MultiReadResult::Error { err: Error::NoNode }));
    assert!(
        matches!(&results[2], zk::MultiReadResult::Children { children } if *children == ["new"])
    );
}

#[tokio::test]
async fn a_lock_admits_one_at_a_time() {
    let clients = [connect().await, connect().await];
    let root = fresh(&clients[0], "lock").await.path().to_owned();
    let inside = Arc::new(AtomicUsize::new(0));
    let mut workers = Vec::new();
    for at in 0..4 {
        let zk = clients[at % 2].clone().chroot(root.clone()).unwrap();
        let inside = inside.clone();
        workers.push(tokio::spawn(async move {
            for _ in 0..5 {
                let prefix = zk::LockPrefix::new_curator("/locks", "lock-").unwrap();
                let options = zk::LockOptions::new(Acls::anyone_all());
                let options = options.with_ancestor_options(OPEN).unwrap();
                let held = zk.lock(prefix, b"", options).await.unwrap();
                assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                tokio::task::yield_now().await;
                inside.fetch_sub(1, Ordering::SeqCst);
                drop(held);
            }
        }));
    }
    for worker in workers {
        within(worker).await.unwrap();
    }
}

#[tokio::test]
async fn acls_keep_others_out() {
    let (ann, zk) = (connect().await, connect().await);
    let ann = fresh(&ann, "acl").await;
    let zk = zk.chroot(ann.path().to_owned()).unwrap();
    ann.auth("digest", b"ann:pw").await.unwrap();
    let mine = CreateMode::Persistent.with_acls(Acls::creator_all());
    ann.create("/mine", b"m", &mine).await.unwrap();
    assert_eq!(zk.get_data("/mine").await.unwrap_err(), Error::NoAuth);
    let (list, _) = ann.get_acl("/mine").await.unwrap();
    assert_eq!(list[0].id(), "ann:RYbu6l5aZwqon8VWmkcGvezdzfc=");
    let users = ann.list_auth_users().await.unwrap();
    assert!(users.contains(&zk::AuthUser::new("digest", "ann")), "{users:?}");
    let changed = ann.set_acl("/mine", &Acls::anyone_read(), Some(0)).await.unwrap();
    assert_eq!(changed.aversion, 1);
    assert_eq!(zk.get_data("/mine").await.unwrap().0, b"m");
    assert_eq!(zk.set_data("/mine", b"x", None).await.unwrap_err(), Error::NoAuth);
    assert_eq!(zk.auth("nosuch", b"x").await.unwrap_err(), Error::AuthFailed);
}

#[tokio::test]
async fn a_detached_session_is_taken_up_again() {
    let detached = connector().with_detached().connect(&hostport()).await.unwrap();
    let zk = fresh(&connect().await, "resume").await;
    let inside = detached.clone().chroot(zk.path().to_owned()).unwrap();
    inside.create("/own", b"", &EPHEMERAL).await.unwrap();
    drop(inside);
    let id = detached.session_id();
    let session = detached.into_session();
    let heir = connector().with_session(session).connect(&hostport()).await.unwrap();
    assert_eq!(heir.session_id(), id);
    let (stat, gone) = zk.check_and_watch_stat("/own").await.unwrap();
    assert_eq!(format!("{:#x}", stat.expect("kept").ephemeral_owner), id.to_string());
    drop(heir);
    assert_eq!(within(gone.changed()).await.event_type, EventType::NodeDeleted);
}
