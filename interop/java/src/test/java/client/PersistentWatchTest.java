package client;

import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.Watcher.WatcherType;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooKeeper;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

import java.util.List;

/** Watches set by addWatch: they stay, some for a whole subtree, and are taken away by kind. */
class PersistentWatchTest extends Fixture {
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
    void persistentHearsTheNodeAndItsChildrenForever() throws Exception {
        zk.addWatch(a, events, AddWatchMode.PERSISTENT);
        for (int round = 0; round < 2; round++) {
            write(a);
            writer.setData(a, null, -1);
            writer.setData(a, null, -1);
            write(a + "/b");
            writer.setData(a + "/b", null, -1);
            writer.delete(a + "/b", -1);
            writer.delete(a, -1);
            events.expect(
                    "NodeCreated " + a,
                    "NodeDataChanged " + a,
                    "NodeDataChanged " + a,
                    "NodeChildrenChanged " + a,
                    "NodeChildrenChanged " + a,
                    "NodeDeleted " + a);
        }
        settle(zk);
        events.expectNothing();
    }

    @Test
    void recursiveHearsTheSubtreeAndNoChildrenChanged() throws Exception {
        zk.addWatch(a, events, AddWatchMode.PERSISTENT_RECURSIVE);
        write(a);
        write(a + "/b");
        write(a + "/b/c");
        write(root + "/ab");
        writer.setData(a + "/b/c", null, -1);
        writer.setData(a, null, -1);
        writer.delete(a + "/b/c", -1);
        writer.delete(a + "/b", -1);
        writer.delete(a, -1);
        events.expect(
                "NodeCreated " + a,
                "NodeCreated " + a + "/b",
                "NodeCreated " + a + "/b/c",
                "NodeDataChanged " + a + "/b/c",
                "NodeDataChanged " + a,
                "NodeDeleted " + a + "/b/c",
                "NodeDeleted " + a + "/b",
                "NodeDeleted " + a);
        settle(zk);
        events.expectNothing();
    }

    @Test
    void kindsLiveSideBySide() throws Exception {
        write(a);
        Events recursive = new Events();
        Events once = new Events();
        zk.addWatch(a, events, AddWatchMode.PERSISTENT);
        zk.addWatch(a, recursive, AddWatchMode.PERSISTENT_RECURSIVE);
        zk.getChildren(a, once);
        zk.getData(a, once, null);
        write(a + "/b");
        writer.setData(a, null, -1);
        writer.setData(a, null, -1);
        events.expect("NodeChildrenChanged " + a, "NodeDataChanged " + a, "NodeDataChanged " + a);
        recursive.expect("NodeCreated " + a + "/b", "NodeDataChanged " + a, "NodeDataChanged " + a);
        once.expect("NodeChildrenChanged " + a, "NodeDataChanged " + a);
        settle(zk);
        events.expectNothing();
        recursive.expectNothing();
        once.expectNothing();
    }

    @Test
    void oneWatcherInTwoModesHearsAnEventOnce() throws Exception {
        write(a);
        zk.addWatch(a, events, AddWatchMode.PERSISTENT);
        zk.addWatch(root, events, AddWatchMode.PERSISTENT_RECURSIVE);
        writer.setData(a, null, -1);
        events.expect("NodeDataChanged " + a);
        settle(zk);
        events.expectNothing();
    }

    @Test
    void recursiveOnTheRootHearsEveryNode() throws Exception {
        zk.addWatch("/", events, AddWatchMode.PERSISTENT_RECURSIVE);
        write(a);
        String wanted = "NodeCreated " + a;
        // Other tests run beside this one: their events come too.
        while (!wanted.equals(describeNext())) {
            continue;
        }
    }

    private String describeNext() throws InterruptedException {
        var event = events.take();
        return event.getType() + " " + event.getPath();
    }

    @Test
    void defaultWatcherCanBeAdded() throws Exception {
        zk.addWatch(a, AddWatchMode.PERSISTENT);
        write(a);
        told.expect("NodeCreated " + a);
    }

    @Test
    void transactionIsHeardInFull() throws Exception {
        zk.addWatch(root, events, AddWatchMode.PERSISTENT_RECURSIVE);
        writer.multi(
                List.of(
                        Op.create(a, null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT),
                        Op.setData(a, null, -1),
                        Op.delete(a, -1)));
        events.expect("NodeCreated " + a, "NodeDataChanged " + a, "NodeDeleted " + a);
    }

    @Test
    void eachModeIsRemovedByItsOwnName() throws Exception {
        Events recursive = new Events();
        zk.addWatch(a, events, AddWatchMode.PERSISTENT);
        zk.addWatch(a, recursive, AddWatchMode.PERSISTENT_RECURSIVE);
        fails(Code.NOWATCHER, () -> zk.removeWatches(a, events, WatcherType.Data, false));
        fails(
                Code.NOWATCHER,
                () -> zk.removeWatches(a, events, WatcherType.PersistentRecursive, false));
        zk.removeWatches(a, events, WatcherType.Persistent, false);
        events.expect("PersistentWatchRemoved " + a);
        write(a);
        recursive.expect("NodeCreated " + a);
        zk.removeAllWatches(a, WatcherType.PersistentRecursive, false);
        recursive.expect("PersistentWatchRemoved " + a);
        writer.delete(a, -1);
        settle(zk);
        events.expectNothing();
        recursive.expectNothing();
    }

    @Test
    void anyRemovesEveryKind() throws Exception {
        write(a);
        zk.addWatch(a, events, AddWatchMode.PERSISTENT);
        zk.getData(a, events, null);
        zk.removeAllWatches(a, WatcherType.Any, false);
        events.expectAnyOrder("PersistentWatchRemoved " + a, "DataWatchRemoved " + a);
        writer.setData(a, null, -1);
        settle(zk);
        events.expectNothing();
    }
}
