package client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;

import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.WatchedEvent;
import org.apache.zookeeper.Watcher.WatcherType;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooKeeper;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

import java.util.List;

/** Watches set by exists, getData and getChildren: what fires them, once, and in which order. */
class OneShotWatchTest extends Fixture {
    private final Events events = new Events();
    private ZooKeeper writer;
    private String a;

    @BeforeEach
    void secondClient() throws Exception {
        writer = connectAnother();
        a = root + "/a";
    }

    private void write(String path) throws Exception {
        writer.create(path, null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
    }

    @Test
    void existsOnAMissingNodeHearsItsCreationOnce() throws Exception {
        assertNull(zk.exists(a, events));
        write(a);
        events.expect("NodeCreated " + a);
        writer.setData(a, null, -1);
        settle(zk);
        events.expectNothing();
    }

    @Test
    void existsAndGetDataHearChangeAndDeletion() throws Exception {
        write(a);
        zk.exists(a, events);
        writer.setData(a, null, -1);
        events.expect("NodeDataChanged " + a);
        zk.getData(a, events, null);
        writer.setData(a, null, -1);
        events.expect("NodeDataChanged " + a);
        zk.getData(a, events, null);
        writer.delete(a, -1);
        events.expect("NodeDeleted " + a);
    }

    @Test
    void getDataOfAMissingNodeSetsNoWatch() throws Exception {
        fails(Code.NONODE, () -> zk.getData(a, events, null));
        fails(Code.NONODE, () -> zk.getChildren(a, events));
        write(a);
        settle(zk);
        events.expectNothing();
    }

    @Test
    void getChildrenHearsChildrenOnly() throws Exception {
        write(a);
        zk.getChildren(a, events);
        writer.setData(a, null, -1);
        settle(zk);
        events.expectNothing();
        write(a + "/b");
        events.expect("NodeChildrenChanged " + a);
        zk.getChildren(a, events);
        writer.setData(a + "/b", null, -1);
        write(a + "/b/c");
        writer.delete(a + "/b/c", -1);
        settle(zk);
        events.expectNothing();
        writer.delete(a + "/b", -1);
        events.expect("NodeChildrenChanged " + a);
        zk.getChildren(a, events);
        writer.delete(a, -1);
        events.expect("NodeDeleted " + a);
    }

    @Test
    void oneWatcherOnDataAndChildrenHearsOneDeletion() throws Exception {
        write(a);
        zk.getData(a, events, null);
        zk.exists(a, events);
        zk.getChildren(a, events);
        zk.getChildren(root, events);
        writer.delete(a, -1);
        events.expect("NodeDeleted " + a, "NodeChildrenChanged " + root);
        settle(zk);
        events.expectNothing();
    }

    @Test
    void defaultWatcherIsUsedByTheBooleanForm() throws Exception {
        write(a);
        zk.exists(a, true);
        zk.getChildren(a, true);
        write(a + "/b");
        writer.setData(a, null, -1);
        told.expect("NodeChildrenChanged " + a, "NodeDataChanged " + a);
    }

    @Test
    void ownWriteTellsOwnWatchBeforeItsReply() throws Exception {
        zk.exists(a, events);
        zk.create(
                a,
                null,
                Ids.OPEN_ACL_UNSAFE,
                CreateMode.PERSISTENT,
                (rc, path, context, name) ->
                        events.process(
                                new WatchedEvent(
                                        org.apache.zookeeper.Watcher.Event.EventType.None,
                                        org.apache.zookeeper.Watcher.Event.KeeperState.Closed,
                                        null)),
                null);
        events.expect("NodeCreated " + a, "Closed");
    }

    @Test
    void setAclFailedWritesAndSyncTellNothing() throws Exception {
        write(a);
        zk.exists(a, events);
        zk.getChildren(a, events);
        writer.setACL(a, Ids.OPEN_ACL_UNSAFE, -1);
        fails(Code.BADVERSION, () -> writer.setData(a, null, 5));
        fails(Code.NODEEXISTS, () -> write(a));
        writer.sync(a);
        settle(zk);
        events.expectNothing();
    }

    @Test
    void transactionTellsOperationByOperation() throws Exception {
        String b = root + "/b";
        write(b);
        zk.exists(a, events);
        zk.exists(b, events);
        zk.getChildren(root, events);
        writer.multi(
                List.of(
                        Op.setData(b, null, -1),
                        Op.create(a, null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT),
                        Op.delete(b, -1)));
        events.expect("NodeDataChanged " + b, "NodeCreated " + a, "NodeChildrenChanged " + root);
        settle(zk);
        events.expectNothing();
    }

    @Test
    void eventCarriesTheZxidOfItsChange() throws Exception {
        zk.exists(a, events);
        write(a);
        assertEquals(writer.exists(a, false).getCzxid(), events.take().getZxid());
        zk.getData(a, events, null);
        long changed = writer.setData(a, null, -1).getMzxid();
        assertEquals(changed, events.take().getZxid());
    }

    @Test
    void endOfASessionTellsOfItsEphemerals() throws Exception {
        writer.create(a, null, Ids.OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL);
        zk.exists(a, events);
        zk.getChildren(root, events);
        writer.close();
        events.expect("NodeDeleted " + a, "NodeChildrenChanged " + root);
    }

    @Test
    void watchersAreRemovedByKind() throws Exception {
        write(a);
        Events data = new Events();
        Events children = new Events();
        zk.getData(a, data, null);
        zk.getChildren(a, children);
        fails(Code.NOWATCHER, () -> zk.removeWatches(a, data, WatcherType.Children, false));
        fails(Code.NOWATCHER, () -> zk.removeWatches(a, events, WatcherType.Any, false));
        zk.removeWatches(a, data, WatcherType.Data, false);
        data.expect("DataWatchRemoved " + a);
        write(a + "/b");
        writer.setData(a, null, -1);
        children.expect("NodeChildrenChanged " + a);
        settle(zk);
        data.expectNothing();
    }

    @Test
    void allWatchersOfANodeAreRemoved() throws Exception {
        write(a);
        Events second = new Events();
        zk.getData(a, events, null);
        zk.exists(a, second);
        zk.getChildren(a, events);
        zk.removeAllWatches(a, WatcherType.Any, false);
        events.expectAnyOrder("DataWatchRemoved " + a, "ChildWatchRemoved " + a);
        second.expect("DataWatchRemoved " + a);
        writer.delete(a, -1);
        settle(zk);
        events.expectNothing();
        second.expectNothing();
        fails(Code.NOWATCHER, () -> zk.removeAllWatches(a, WatcherType.Any, false));
    }

    @Test
    void aThousandWatchersOfOneNodeAllHear() throws Exception {
        write(a);
        int count = 1000;
        Events all = new Events();
        for (int i = 0; i < count; i++) {
            zk.getData(a, all::process, (rc, path, context, data, stat) -> {}, null);
        }
        settle(zk);
        writer.setData(a, null, -1);
        for (int i = 0; i < count; i++) {
            all.expect("NodeDataChanged " + a);
        }
    }
}
