package client;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.KeeperException.ConnectionLossException;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.data.Stat;
import org.apache.zookeeper.server.EphemeralType;
import org.junit.jupiter.api.Test;

import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.TreeSet;

/** Nodes: the seven ways to create one, reading, writing, deleting, and the Stat after each. */
class NodesTest extends Fixture {
    private static final long LONG_TTL_MS = 3_600_000;
    // Not over before the next request, on a busy machine either.
    private static final long SHORT_TTL_MS = 2000;

    @Test
    void createAnswersPathAndStat() throws Exception {
        Stat stat = new Stat();
        String path =
                zk.create(
                        root + "/a",
                        bytes("one"),
                        Ids.OPEN_ACL_UNSAFE,
                        CreateMode.PERSISTENT,
                        stat);
        assertEquals(root + "/a", path);
        assertEquals(stat.getCzxid(), stat.getMzxid());
        assertEquals(stat.getCzxid(), stat.getPzxid());
        assertEquals(stat.getCtime(), stat.getMtime());
        assertTrue(Math.abs(System.currentTimeMillis() - stat.getCtime()) < 60_000);
        assertEquals(0, stat.getVersion());
        assertEquals(0, stat.getCversion());
        assertEquals(0, stat.getAversion());
        assertEquals(0, stat.getEphemeralOwner());
        assertEquals(3, stat.getDataLength());
        assertEquals(0, stat.getNumChildren());
        assertEquals(stat, zk.exists(path, false));
    }

    @Test
    void everyCreateModeShowsItsOwner() throws Exception {
        String zeros = "0000000000";
        for (CreateMode mode : CreateMode.values()) {
            String parent = create(root + "/" + mode, null);
            Stat stat = new Stat();
            long ttlMs = mode.isTTL() ? LONG_TTL_MS : -1;
            String path = zk.create(parent + "/n", null, Ids.OPEN_ACL_UNSAFE, mode, stat, ttlMs);
            assertEquals(parent + "/n" + (mode.isSequential() ? zeros : ""), path);
            long owner = mode.isEphemeral() ? zk.getSessionId() : 0;
            assertEquals(owner, stat.getEphemeralOwner(), mode.toString());
            assertEquals(stat, zk.exists(path, false));
        }
    }

    @Test
    void sequenceCountsEveryCreationAndNoDeletion() throws Exception {
        assertEquals(
                root + "/s0000000000", create(root + "/s", "", CreateMode.PERSISTENT_SEQUENTIAL));
        create(root + "/plain", "");
        assertEquals(
                root + "/t0000000002", create(root + "/t", "", CreateMode.EPHEMERAL_SEQUENTIAL));
        zk.delete(root + "/s0000000000", -1);
        zk.delete(root + "/t0000000002", -1);
        zk.delete(root + "/plain", -1);
        assertEquals(
                root + "/0000000003", create(root + "/", "", CreateMode.PERSISTENT_SEQUENTIAL));
        // A failed create takes no number.
        fails(Code.NODEEXISTS, () -> create(root + "/0000000003", ""));
        assertEquals(
                root + "/s0000000004", create(root + "/s", "", CreateMode.PERSISTENT_SEQUENTIAL));
    }

    @Test
    void ephemeralsHaveNoChildren() throws Exception {
        String parent = create(root + "/e", "", CreateMode.EPHEMERAL);
        fails(Code.NOCHILDRENFOREPHEMERALS, () -> create(parent + "/c", ""));
        fails(
                Code.NOCHILDRENFOREPHEMERALS,
                () -> create(parent + "/c", "", CreateMode.EPHEMERAL_SEQUENTIAL));
    }

    @Test
    void containerGoesAfterItsLastChild() throws Exception {
        String used = create(root + "/used", "", CreateMode.CONTAINER);
        String unused = create(root + "/unused", "", CreateMode.CONTAINER);
        create(used + "/child", "");
        zk.delete(used + "/child", -1);
        await().atMost(Duration.ofSeconds(30)).until(() -> zk.exists(used, false) == null);
        assertNotNull(zk.exists(unused, false), "a container that never had a child stays");
    }

    @Test
    void ttlNodeGoesWhenItIsOldAndChildless() throws Exception {
        Stat stat = new Stat();
        String path =
                zk.create(
                        root + "/ttl",
                        null,
                        Ids.OPEN_ACL_UNSAFE,
                        CreateMode.PERSISTENT_WITH_TTL,
                        stat,
                        SHORT_TTL_MS);
        create(path + "/child", "");
        String other =
                zk.create(
                        root + "/other-",
                        null,
                        Ids.OPEN_ACL_UNSAFE,
                        CreateMode.PERSISTENT_SEQUENTIAL_WITH_TTL,
                        stat,
                        SHORT_TTL_MS);
        await().atMost(Duration.ofSeconds(30)).until(() -> zk.exists(other, false) == null);
        assertNotNull(zk.exists(path, false), "a TTL node with a child stays");
        zk.delete(path + "/child", -1);
        await().atMost(Duration.ofSeconds(30)).until(() -> zk.exists(path, false) == null);
    }

    @Test
    void longestTtlIsAccepted() throws Exception {
        long longest = EphemeralType.TTL.maxValue();
        Stat stat = new Stat();
        zk.create(
                root + "/ttl",
                null,
                Ids.OPEN_ACL_UNSAFE,
                CreateMode.PERSISTENT_WITH_TTL,
                stat,
                longest);
        assertEquals(0, stat.getEphemeralOwner());
        assertThrows(
                IllegalArgumentException.class,
                () ->
                        zk.create(
                                root + "/too-long",
                                null,
                                Ids.OPEN_ACL_UNSAFE,
                                CreateMode.PERSISTENT_WITH_TTL,
                                stat,
                                longest + 1));
    }

    @Test
    void nullAndEmptyDataStayApart() throws Exception {
        assertNull(zk.getData(create(root + "/null", null), false, null));
        assertArrayEquals(new byte[0], zk.getData(create(root + "/empty", ""), false, null));
        assertEquals(0, zk.exists(root + "/null", false).getDataLength());
        zk.setData(root + "/empty", null, -1);
        assertNull(zk.getData(root + "/empty", false, null));
    }

    @Test
    void nearlyOneMebibyteFitsAndMoreCutsTheConnectionOnly() throws Exception {
        byte[] large = new byte[1_048_000];
        Arrays.fill(large, (byte) 7);
        zk.create(root + "/large", large, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        assertArrayEquals(large, zk.getData(root + "/large", false, null));
        long session = zk.getSessionId();
        String own = create(root + "/own", "", CreateMode.EPHEMERAL);
        fails(Code.CONNECTIONLOSS, () -> zk.setData(root + "/large", new byte[1_048_576], -1));
        // The client may still be busy with the connection that it has lost.
        await().atMost(Duration.ofSeconds(30))
                .ignoreException(ConnectionLossException.class)
                .until(() -> zk.exists(own, false) != null);
        assertEquals(session, zk.getSessionId());
        assertEquals(session, zk.exists(own, false).getEphemeralOwner());
        assertArrayEquals(large, zk.getData(root + "/large", false, null));
    }

    @Test
    void setDataChangesVersionMzxidAndLength() throws Exception {
        Stat before = new Stat();
        zk.create(root + "/a", bytes("one"), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT, before);
        Stat after = zk.setData(root + "/a", bytes("three"), 0);
        assertEquals(1, after.getVersion());
        assertEquals(5, after.getDataLength());
        assertTrue(after.getMzxid() > before.getMzxid());
        assertTrue(after.getMtime() >= before.getMtime());
        assertEquals(before.getCzxid(), after.getCzxid());
        assertEquals(before.getPzxid(), after.getPzxid());
        assertEquals(before.getCtime(), after.getCtime());
        fails(Code.BADVERSION, () -> zk.setData(root + "/a", bytes("x"), 0));
        fails(Code.BADVERSION, () -> zk.setData(root + "/a", bytes("x"), 2));
        assertEquals(2, zk.setData(root + "/a", bytes("any"), -1).getVersion());
        fails(Code.NONODE, () -> zk.setData(root + "/b", bytes("x"), -1));
        Stat read = new Stat();
        assertEquals("any", text(zk.getData(root + "/a", false, read)));
        assertEquals(2, read.getVersion());
    }

    @Test
    void deleteChecksVersionAndChildren() throws Exception {
        create(root + "/a", "");
        create(root + "/a/b", "");
        fails(Code.NOTEMPTY, () -> zk.delete(root + "/a", -1));
        fails(Code.BADVERSION, () -> zk.delete(root + "/a", 1));
        fails(Code.NONODE, () -> zk.delete(root + "/c", -1));
        fails(Code.NONODE, () -> zk.delete(root + "/c/d", -1));
        zk.delete(root + "/a/b", 0);
        zk.delete(root + "/a", 0);
        assertNull(zk.exists(root + "/a", false));
    }

    @Test
    void reservedNodesCannotBeDeleted() {
        for (String path : List.of("/zookeeper", "/zookeeper/quota", "/zookeeper/config")) {
            fails(Code.BADARGUMENTS, () -> zk.delete(path, -1));
        }
    }

    @Test
    void createRefusals() throws Exception {
        create(root + "/a", "");
        fails(Code.NODEEXISTS, () -> create(root + "/a", ""));
        fails(Code.NODEEXISTS, () -> create("/", ""));
        fails(Code.NONODE, () -> create(root + "/no/parent", ""));
        fails(
                Code.INVALIDACL,
                () -> zk.create(root + "/b", null, List.of(), CreateMode.PERSISTENT));
        fails(Code.NONODE, () -> zk.getData(root + "/b", false, null));
        fails(Code.NONODE, () -> zk.getChildren(root + "/b", false));
        fails(Code.NONODE, () -> zk.getACL(root + "/b", null));
        assertNull(zk.exists(root + "/b", false));
    }

    @Test
    void namesMayHoldSpacesDotsAndLetters() throws Exception {
        TreeSet<String> names =
                new TreeSet<>(List.of("two words", "...", ".hidden", "ünïcode", "日本語", "a:b"));
        for (String name : names) {
            assertEquals(root + "/" + name, create(root + "/" + name, name));
        }
        assertEquals(names, new TreeSet<>(zk.getChildren(root, false)));
        for (String name : names) {
            assertEquals(name, text(zk.getData(root + "/" + name, false, null)));
        }
    }

    @Test
    void parentCountsItsChildren() throws Exception {
        Stat fresh = zk.exists(root, false);
        create(root + "/a", "");
        create(root + "/b", "");
        zk.delete(root + "/a", -1);
        long lastChange = zk.exists(root, false).getPzxid();
        Stat stat = new Stat();
        assertEquals(List.of("b"), zk.getChildren(root, false, stat));
        assertEquals(3, stat.getCversion());
        assertEquals(1, stat.getNumChildren());
        assertEquals(lastChange, stat.getPzxid());
        assertTrue(lastChange > zk.exists(root + "/b", false).getCzxid());
        assertEquals(fresh.getMzxid(), stat.getMzxid());
        assertEquals(fresh.getMtime(), stat.getMtime());
        assertEquals(0, stat.getVersion());
    }

    @Test
    void allChildrenNumberCountsDescendants() throws Exception {
        assertEquals(0, zk.getAllChildrenNumber(root));
        create(root + "/a", "");
        create(root + "/a/b", "");
        create(root + "/a/b/c", "", CreateMode.EPHEMERAL);
        create(root + "/ab", "");
        assertEquals(4, zk.getAllChildrenNumber(root));
        assertEquals(2, zk.getAllChildrenNumber(root + "/a"));
        fails(Code.NONODE, () -> zk.getAllChildrenNumber(root + "/no"));
    }

    @Test
    void ephemeralsAreListedByPrefix() throws Exception {
        assertEquals(List.of(), zk.getEphemerals());
        create(root + "/a", "", CreateMode.EPHEMERAL);
        create(root + "/ab", "", CreateMode.EPHEMERAL);
        create(root + "/c", "", CreateMode.EPHEMERAL);
        create(root + "/p", "");
        TreeSet<String> all = new TreeSet<>(List.of(root + "/a", root + "/ab", root + "/c"));
        assertEquals(all, new TreeSet<>(zk.getEphemerals()));
        assertEquals(all, new TreeSet<>(zk.getEphemerals("/")));
        assertEquals(all.headSet(root + "/b"), new TreeSet<>(zk.getEphemerals(root + "/a")));
        assertEquals(List.of(), zk.getEphemerals("/elsewhere"));
        assertEquals(List.of(), connectAnother().getEphemerals());
    }

    @Test
    void syncAnswersForAnyPath() throws Exception {
        zk.sync(root);
        zk.sync("/no/such/node");
        zk.sync("/");
    }

    @Test
    void onlyAnEnsembleHasAConfigText() throws Exception {
        Stat stat = new Stat();
        byte[] config = zk.getConfig(false, stat);
        assertEquals(CONFIG_IS_EMPTY, text(config).isEmpty());
        assertEquals(-1, stat.getAversion());
        fails(Code.NOAUTH, () -> zk.setData("/zookeeper/config", bytes("x"), -1));
    }
}
