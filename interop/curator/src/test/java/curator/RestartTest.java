package curator;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.apache.curator.framework.recipes.cache.CuratorCache;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.nodes.PersistentNode;
import org.apache.zookeeper.CreateMode;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.parallel.Isolated;

import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;

/** Recipes keep their word over an end and a new start of the server. */
@Isolated("it takes the server away from everybody")
class RestartTest extends Fixture {
    private static final int LATE_S = 30;

    @Test
    void recipesSurviveAStop() throws Exception {
        survive("stop", "start");
    }

    @Test
    void recipesSurviveAKill() throws Exception {
        survive("kill", "start");
    }

    private void survive(String... words) throws Exception {
        LeaderLatch leader = closing(new LeaderLatch(one, "/leader", "first"));
        leader.start();
        assertTrue(leader.await(LATE_S, TimeUnit.SECONDS));
        LeaderLatch next = closing(new LeaderLatch(two, "/leader", "second"));
        next.start();
        PersistentNode node =
                closing(new PersistentNode(one, CreateMode.EPHEMERAL, false, "/me", bytes("here")));
        node.start();
        assertTrue(node.waitForInitialCreate(LATE_S, TimeUnit.SECONDS));
        CuratorCache cache = closing(CuratorCache.build(two, "/tree"));
        cache.start();
        InterProcessMutex lock = new InterProcessMutex(one, "/lock");
        lock.acquire();
        long session = one.getZookeeperClient().getZooKeeper().getSessionId();

        control(words);

        one.create().creatingParentsIfNeeded().forPath("/tree/after", bytes("restart"));
        eventually("the cache hears", () -> cache.get("/tree/after").isPresent());
        assertEquals(session, one.getZookeeperClient().getZooKeeper().getSessionId());
        eventually("one leader", () -> leader.hasLeadership() != next.hasLeadership());
        assertEquals(session, one.checkExists().forPath("/me").getEphemeralOwner());
        Future<Boolean> waiting =
                threads.submit(
                        () ->
                                new InterProcessMutex(two, "/lock")
                                        .acquire(LATE_S, TimeUnit.SECONDS));
        eventually("both stand in line", () -> lock.getParticipantNodes().size() == 2);
        lock.release();
        assertTrue(waiting.get(LATE_S, TimeUnit.SECONDS));
    }
}
