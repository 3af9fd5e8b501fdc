package curator;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.apache.curator.framework.api.transaction.CuratorOp;
import org.apache.curator.framework.api.transaction.CuratorTransactionResult;
import org.apache.curator.framework.api.transaction.OperationType;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.data.Stat;
import org.junit.jupiter.api.Test;

import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/** The fluent client below the recipes: builders, protection, transactions, background calls. */
class FrameworkTest extends Fixture {
    private static final int LATE_S = 30;

    @Test
    void transactionAnswersEachOperation() throws Exception {
        one.create().forPath("/old");
        List<CuratorTransactionResult> results =
                one.transaction()
                        .forOperations(
                                one.transactionOp().create().forPath("/new", bytes("n")),
                                one.transactionOp().setData().forPath("/old", bytes("o")),
                                one.transactionOp().check().withVersion(1).forPath("/old"),
                                one.transactionOp().delete().forPath("/old"));
        assertEquals(
                List.of(
                        OperationType.CREATE,
                        OperationType.SET_DATA,
                        OperationType.CHECK,
                        OperationType.DELETE),
                List.of(
                        results.get(0).getType(),
                        results.get(1).getType(),
                        results.get(2).getType(),
                        results.get(3).getType()));
        assertEquals("/new", results.get(0).getResultPath());
        assertEquals(1, results.get(1).getResultStat().getVersion());
        CuratorOp create = one.transactionOp().create().forPath("/never");
        CuratorOp bad = one.transactionOp().delete().forPath("/missing");
        assertThrows(
                KeeperException.NoNodeException.class,
                () -> one.transaction().forOperations(create, bad));
        assertNull(one.checkExists().forPath("/never"));
    }

    @Test
    void protectedCreateMarksItsNode() throws Exception {
        String path =
                one.create()
                        .creatingParentContainersIfNeeded()
                        .withProtection()
                        .withMode(CreateMode.EPHEMERAL_SEQUENTIAL)
                        .forPath("/deep/down/n-");
        assertTrue(path.matches("/deep/down/_c_[-0-9a-f]{36}-n-0000000000"), path);
        one.delete().guaranteed().forPath(path);
        eventually("emptied containers go", () -> two.checkExists().forPath("/deep") == null);
    }

    @Test
    void idempotentWritesTakeAnEarlierSuccess() throws Exception {
        one.create().idempotent().forPath("/i", bytes("same"));
        one.create().idempotent().forPath("/i", bytes("same"));
        one.setData().idempotent().withVersion(0).forPath("/i", bytes("next"));
        one.setData().idempotent().withVersion(0).forPath("/i", bytes("next"));
        one.delete().idempotent().forPath("/i");
        one.delete().idempotent().forPath("/i");
        assertNull(two.checkExists().forPath("/i"));
    }

    @Test
    void orSetDataAndStatsAreStored() throws Exception {
        Stat stat = new Stat();
        one.create().storingStatIn(stat).forPath("/s", bytes("1"));
        assertEquals(0, stat.getVersion());
        one.create().orSetData().forPath("/s", bytes("2"));
        assertEquals("2", text(two.getData().storingStatIn(stat).forPath("/s")));
        assertEquals(1, stat.getVersion());
        one.setData().compressed().forPath("/s", bytes("long ".repeat(1000)));
        assertEquals("long ".repeat(1000), text(two.getData().decompressed().forPath("/s")));
    }

    @Test
    void backgroundCallsComeBack() throws Exception {
        CountDownLatch done = new CountDownLatch(100);
        AtomicInteger codes = new AtomicInteger();
        for (int i = 0; i < 100; i++) {
            one.create()
                    .creatingParentsIfNeeded()
                    .inBackground(
                            (client, event) -> {
                                codes.addAndGet(event.getResultCode());
                                done.countDown();
                            })
                    .forPath("/many/n" + i);
        }
        assertTrue(done.await(LATE_S, TimeUnit.SECONDS));
        assertEquals(0, codes.get());
        assertEquals(100, two.checkExists().forPath("/many").getNumChildren());
        two.delete().deletingChildrenIfNeeded().forPath("/many");
        assertNull(one.checkExists().forPath("/many"));
    }

    @Test
    void watchesAreAddedAndRemoved() throws Exception {
        AtomicInteger heard = new AtomicInteger();
        one.watchers()
                .add()
                .withMode(AddWatchMode.PERSISTENT)
                .usingWatcher(
                        (org.apache.curator.framework.api.CuratorWatcher)
                                event -> heard.incrementAndGet())
                .forPath("/w");
        two.create().forPath("/w");
        two.setData().forPath("/w", bytes("x"));
        eventually("both events", () -> heard.get() == 2);
        one.watchers().removeAll().forPath("/w");
        two.delete().forPath("/w");
        one.sync().forPath("/w");
        assertNull(one.checkExists().forPath("/w"));
    }

    @Test
    void namespaceIsMadeAndHidden() throws Exception {
        one.create().forPath("/inside");
        assertEquals(List.of("inside"), two.getChildren().forPath("/"));
        assertNotNull(
                one.usingNamespace(null)
                        .checkExists()
                        .forPath("/" + one.getNamespace() + "/inside"));
    }

    @Test
    void onlyAnEnsembleHasAConfiguration() throws Exception {
        boolean alone = System.getenv("ZK_ROLE") == null;
        assertEquals(alone, text(one.usingNamespace(null).getConfig().forEnsemble()).isEmpty());
        // Curator's tracker takes up members with a version of their own only.
        assertTrue(one.getCurrentConfig().getAllMembers().isEmpty());
    }
}
