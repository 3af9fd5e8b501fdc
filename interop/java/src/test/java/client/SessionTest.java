package client;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.KeeperException.ConnectionLossException;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooKeeper;
import org.junit.jupiter.api.Test;

import java.time.Duration;

/**
 * Sessions: taken up again by id and password, refused, expired, closed; chroots on top of them.
 */
class SessionTest extends Fixture {
    /** The suite's tickTime; the shortest session is two of them, the longest twenty. */
    private static final int TICK_MS = 500;

    @Test
    void idAndPasswordTakeASessionUpAgain() throws Exception {
        Events first = new Events();
        ZooKeeper old = connect(HOSTPORT, TIMEOUT_MS, first);
        String own = old.create(root + "/own", null, Ids.OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL);
        Events second = new Events();
        ZooKeeper heir =
                track(
                        new ZooKeeper(
                                HOSTPORT,
                                TIMEOUT_MS,
                                second,
                                old.getSessionId(),
                                old.getSessionPasswd()));
        second.awaitState(KeeperState.SyncConnected);
        assertEquals(old.getSessionId(), heir.getSessionId());
        assertArrayEquals(old.getSessionPasswd(), heir.getSessionPasswd());
        assertEquals(java.util.List.of(own), heir.getEphemerals());
        heir.close();
        assertNull(zk.exists(own, false), "the heir's close ends the session");
        first.awaitState(KeeperState.Expired);
    }

    @Test
    void wrongPasswordIsRefused() throws Exception {
        Events second = new Events();
        byte[] password = zk.getSessionPasswd().clone();
        password[0] ^= 1;
        track(new ZooKeeper(HOSTPORT, TIMEOUT_MS, second, zk.getSessionId(), password));
        second.expect("Expired");
        // The connection may break, the session goes on.
        await().atMost(Duration.ofSeconds(20))
                .ignoreException(ConnectionLossException.class)
                .until(() -> zk.exists(root, false) != null);
    }

    @Test
    void closedSessionCannotBeTakenUp() throws Exception {
        ZooKeeper old = connectAnother();
        long id = old.getSessionId();
        byte[] password = old.getSessionPasswd();
        old.close();
        Events second = new Events();
        track(new ZooKeeper(HOSTPORT, TIMEOUT_MS, second, id, password));
        second.expect("Expired");
    }

    @Test
    void idsDifferAndTimeoutsAreClamped() throws Exception {
        ZooKeeper shortest = connect(HOSTPORT, TICK_MS, new Events());
        ZooKeeper longest = connect(HOSTPORT, 3_600_000, new Events());
        assertNotEquals(shortest.getSessionId(), longest.getSessionId());
        assertEquals(2 * TICK_MS, shortest.getSessionTimeout());
        assertEquals(20 * TICK_MS, longest.getSessionTimeout());
        assertEquals(TIMEOUT_MS, zk.getSessionTimeout());
        long number = zk.getSessionId() >>> 56;
        boolean right = System.getenv("ZK_ROLE") == null ? number == 1 : number >= 1 && number <= 3;
        assertTrue(right, "a standalone server is number 1, a member has its own: " + number);
        assertEquals(16, zk.getSessionPasswd().length);
    }

    @Test
    void closeDeletesEphemeralsAtOnce() throws Exception {
        ZooKeeper other = connectAnother();
        for (int i = 0; i < 50; i++) {
            other.create(root + "/e-", null, Ids.OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL_SEQUENTIAL);
        }
        other.create(root + "/stays", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        other.close();
        assertEquals(java.util.List.of("stays"), zk.getChildren(root, false));
    }

    @Test
    void silentSessionExpires() throws Exception {
        try (CutProxy proxy = new CutProxy()) {
            Events state = new Events();
            ZooKeeper lost = connect(proxy.address(), 6 * TICK_MS, state);
            String own =
                    lost.create(root + "/own", null, Ids.OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL);
            Events gone = new Events();
            zk.exists(own, gone);
            proxy.cut();
            gone.expect("NodeDeleted " + own);
            proxy.mend();
            state.awaitState(KeeperState.Expired);
            fails(Code.SESSIONEXPIRED, () -> lost.exists(root, false));
        }
    }

    @Test
    void pingsKeepAnIdleSession() throws Exception {
        // Not the shortest: on a busy machine the client itself may be late by a second.
        ZooKeeper idle = connect(HOSTPORT, 6 * TICK_MS, new Events());
        String own = idle.create(root + "/own", null, Ids.OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL);
        long until = System.nanoTime() + Duration.ofMillis(15 * TICK_MS).toNanos();
        await().atMost(Duration.ofSeconds(30))
                .until(
                        () -> {
                            assertNotNull(zk.exists(own, false), "it outlives its timeout");
                            return System.nanoTime() > until;
                        });
        assertTrue(idle.getState().isConnected());
    }

    @Test
    void chrootHidesItsPrefix() throws Exception {
        create(root + "/sub", "top");
        Events events = new Events();
        ZooKeeper jailed = connect(HOSTPORT + root + "/sub", TIMEOUT_MS, new Events());
        assertEquals("top", text(jailed.getData("/", false, null)));
        jailed.exists("/a", events);
        jailed.addWatch("/", events, org.apache.zookeeper.AddWatchMode.PERSISTENT);
        assertEquals(
                "/a", jailed.create("/a", bytes("x"), Ids.OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL));
        events.expect("NodeCreated /a", "NodeChildrenChanged /");
        assertEquals("x", text(zk.getData(root + "/sub/a", false, null)));
        assertEquals(java.util.List.of("a"), jailed.getChildren("/", false));
        assertEquals(java.util.List.of(root + "/sub/a"), jailed.getEphemerals());
        assertEquals(
                "/s0000000001",
                jailed.create("/s", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_SEQUENTIAL));
        ZooKeeper nowhere = connect(HOSTPORT + root + "/missing", TIMEOUT_MS, new Events());
        fails(
                Code.NONODE,
                () -> nowhere.create("/a", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT));
    }
}
