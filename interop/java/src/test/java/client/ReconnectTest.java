package client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;

import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooKeeper;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

import java.util.ArrayList;
import java.util.List;

/**
 * The connection breaks and comes back: same session, watches armed again, what was missed told.
 */
class ReconnectTest extends Fixture {
    private final Events events = new Events();
    private final Events state = new Events();
    private CutProxy proxy;
    private ZooKeeper roaming;

    @BeforeEach
    void throughTheProxy() throws Exception {
        proxy = new CutProxy();
        roaming = connect(proxy.address(), TIMEOUT_MS, state);
    }

    @AfterEach
    void closeProxy() throws Exception {
        proxy.mend();
        roaming.close(5000);
        proxy.close();
    }

    private void whileAway(ThrowingRunnable changes) throws Exception {
        proxy.cut();
        state.awaitState(KeeperState.Disconnected);
        changes.run();
        proxy.mend();
        state.awaitState(KeeperState.SyncConnected);
    }

    private interface ThrowingRunnable {
        void run() throws Exception;
    }

    @Test
    void sessionAndEphemeralsSurvive() throws Exception {
        long session = roaming.getSessionId();
        String own = roaming.create(root + "/own", null, Ids.OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL);
        for (int i = 0; i < 3; i++) {
            whileAway(() -> assertEquals(session, zk.exists(own, false).getEphemeralOwner()));
            assertEquals(session, roaming.getSessionId());
            assertEquals(List.of(own), roaming.getEphemerals());
        }
    }

    @Test
    void missedChangesAreToldOnReturn() throws Exception {
        for (String name : List.of("data", "gone", "reborn", "children", "parent", "same")) {
            create(root + "/" + name, "");
        }
        roaming.getData(root + "/data", events, null);
        roaming.getData(root + "/gone", events, null);
        roaming.getData(root + "/reborn", events, null);
        roaming.getChildren(root + "/children", events);
        roaming.getChildren(root + "/parent", events);
        roaming.exists(root + "/later", events);
        roaming.exists(root + "/never", events);
        roaming.getData(root + "/same", events, null);
        whileAway(
                () -> {
                    zk.setData(root + "/data", null, -1);
                    zk.delete(root + "/gone", -1);
                    zk.delete(root + "/reborn", -1);
                    create(root + "/reborn", "");
                    create(root + "/children/c", "");
                    zk.delete(root + "/parent", -1);
                    create(root + "/later", "");
                });
        settle(roaming);
        // The watcher hears the connection go and come before what it missed.
        List<String> seen = new ArrayList<>();
        for (var event = events.take(); ; event = events.take()) {
            if (event.getPath() != null) {
                seen.add(event.getType() + " " + event.getPath().substring(root.length()));
            }
            if (seen.size() == 6) {
                break;
            }
        }
        seen.sort(null);
        assertEquals(
                List.of(
                        "NodeChildrenChanged /children",
                        "NodeCreated /later",
                        "NodeDataChanged /data",
                        "NodeDataChanged /reborn",
                        "NodeDeleted /gone",
                        "NodeDeleted /parent"),
                seen);
        settle(roaming);
        zk.setData(root + "/same", null, -1);
        create(root + "/never", "");
        zk.setData(root + "/data", null, -1);
        settle(roaming);
        events.expect("NodeDataChanged " + root + "/same", "NodeCreated " + root + "/never");
        events.expectNothing();
    }

    @Test
    void persistentWatchesAreArmedAgainWithoutCatchUp() throws Exception {
        create(root + "/p", "");
        create(root + "/r", "");
        Events recursive = new Events();
        roaming.addWatch(root + "/p", events, AddWatchMode.PERSISTENT);
        roaming.addWatch(root + "/r", recursive, AddWatchMode.PERSISTENT_RECURSIVE);
        whileAway(
                () -> {
                    zk.setData(root + "/p", null, -1);
                    create(root + "/r/x", "");
                });
        settle(roaming);
        events.forget();
        recursive.forget();
        zk.setData(root + "/p", null, -1);
        create(root + "/p/c", "");
        create(root + "/r/x/y", "");
        events.expect("NodeDataChanged " + root + "/p", "NodeChildrenChanged " + root + "/p");
        recursive.expect("NodeCreated " + root + "/r/x/y");
        settle(roaming);
        events.expectNothing();
        recursive.expectNothing();
    }

    @Test
    void thousandsOfWatchesAreArmedAgain() throws Exception {
        // More path text than the client puts into one request (128 KiB).
        int count = 2000;
        String longName = "x".repeat(100);
        for (int i = 0; i < count; i++) {
            roaming.exists(
                    root + "/" + longName + i, events, (rc, path, context, stat) -> {}, null);
        }
        settle(roaming);
        whileAway(() -> create(root + "/" + longName + 7, ""));
        settle(roaming);
        for (int i = 0; i < count; i += 100) {
            create(root + "/" + longName + i, "");
        }
        settle(roaming);
        List<String> seen = new ArrayList<>();
        while (seen.size() < 1 + count / 100) {
            var event = events.take();
            if (event.getPath() != null) {
                seen.add(event.getPath().substring(root.length() + 1 + longName.length()));
            }
        }
        List<String> expected = new ArrayList<>(List.of("7"));
        for (int i = 0; i < count; i += 100) {
            expected.add("" + i);
        }
        assertEquals(expected, seen);
    }

    @Test
    void identityIsGivenAgain() throws Exception {
        roaming.addAuthInfo("digest", bytes("ann:secret"));
        String mine =
                roaming.create(
                        root + "/mine", bytes("m"), Ids.CREATOR_ALL_ACL, CreateMode.PERSISTENT);
        whileAway(() -> {});
        assertEquals("m", text(roaming.getData(mine, false, null)));
    }

    @Test
    void removedWatchStaysRemoved() throws Exception {
        create(root + "/a", "");
        roaming.getData(root + "/a", events, null);
        roaming.removeWatches(
                root + "/a", events, org.apache.zookeeper.Watcher.WatcherType.Any, false);
        events.expect("DataWatchRemoved " + root + "/a");
        whileAway(() -> zk.setData(root + "/a", null, -1));
        settle(roaming);
        events.expectNothing();
        assertNull(roaming.exists(root + "/b", false));
    }
}
