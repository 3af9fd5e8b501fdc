package client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooKeeper;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.function.Executable;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/** A connected client for each test, and a node of its own to work under. */
abstract class Fixture {
    static final String HOSTPORT = System.getenv("ZK_HOSTPORT");
    // A server that stands alone has no members to write down.
    static final boolean CONFIG_IS_EMPTY = System.getenv("ZK_ROLE") == null;
    static final int TIMEOUT_MS = 8000;

    /** The client under test. */
    ZooKeeper zk;

    /** What {@link #zk}'s default watcher was told, connection state included. */
    Events told;

    /** A fresh node; everything a test creates is below it. */
    String root;

    private final List<ZooKeeper> opened = new ArrayList<>();

    @BeforeEach
    void connect() throws Exception {
        told = new Events();
        zk = connect(HOSTPORT, TIMEOUT_MS, told);
        told.expect("SyncConnected");
        String prefix = "/java-" + getClass().getSimpleName() + "-";
        root = zk.create(prefix, null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_SEQUENTIAL);
    }

    @AfterEach
    void disconnect() throws Exception {
        for (ZooKeeper client : opened) {
            client.close(5000);
        }
    }

    /** Another client; closed after the test. */
    ZooKeeper connect(String where, int timeoutMs, Events events) throws Exception {
        ZooKeeper client = track(new ZooKeeper(where, timeoutMs, events));
        events.awaitState(KeeperState.SyncConnected);
        return client;
    }

    /** Another client of the same server; closed after the test. */
    ZooKeeper connectAnother() throws Exception {
        return connect(HOSTPORT, TIMEOUT_MS, new Events());
    }

    ZooKeeper track(ZooKeeper client) {
        opened.add(client);
        return client;
    }

    /** Creates a persistent node that everybody may use. */
    String create(String path, String data) throws Exception {
        return create(path, data, CreateMode.PERSISTENT);
    }

    String create(String path, String data, CreateMode mode) throws Exception {
        return zk.create(path, bytes(data), Ids.OPEN_ACL_UNSAFE, mode);
    }

    static byte[] bytes(String text) {
        return text == null ? null : text.getBytes(StandardCharsets.UTF_8);
    }

    static String text(byte[] data) {
        return data == null ? null : new String(data, StandardCharsets.UTF_8);
    }

    static void fails(Code code, Executable call) {
        assertEquals(code, assertThrows(KeeperException.class, call).code());
    }

    /**
     * Waits until {@code client} has heard of every write made so far, and its watchers have been
     * told: a sync's callback runs on the thread that runs the watchers, after them.
     */
    static void settle(ZooKeeper client) throws Exception {
        CountDownLatch called = new CountDownLatch(1);
        client.sync("/", (rc, path, context) -> called.countDown(), null);
        assertTrue(called.await(20, TimeUnit.SECONDS), "sync was not answered");
    }
}
