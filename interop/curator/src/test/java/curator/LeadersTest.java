package curator;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.leader.LeaderLatchListener;
import org.apache.curator.framework.recipes.leader.LeaderSelector;
import org.apache.curator.framework.recipes.leader.LeaderSelectorListenerAdapter;
import org.junit.jupiter.api.Test;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/** Leader latch and leader selector. */
class LeadersTest extends Fixture {
    private static final int LATE_S = 30;

    @Test
    void latchHasOneLeaderAndPassesOn() throws Exception {
        List<LeaderLatch> candidates = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
            LeaderLatch latch =
                    new LeaderLatch(i % 2 == 0 ? one : two, "/leader", "candidate " + i);
            latch.start();
            candidates.add(latch);
        }
        // They begin in the background; the first one leads before the last one is there.
        eventually("four candidates", () -> candidates.get(0).getParticipants().size() == 4);
        while (!candidates.isEmpty()) {
            LeaderLatch leader = leaderOf(candidates);
            assertEquals(leader.getId(), candidates.get(0).getLeader().getId());
            assertEquals(candidates.size(), leader.getParticipants().size());
            leader.close();
            candidates.remove(leader);
        }
    }

    private static LeaderLatch leaderOf(List<LeaderLatch> candidates) {
        eventually("a leader", () -> candidates.stream().anyMatch(LeaderLatch::hasLeadership));
        assertEquals(1, candidates.stream().filter(LeaderLatch::hasLeadership).count());
        return candidates.stream().filter(LeaderLatch::hasLeadership).findFirst().orElseThrow();
    }

    @Test
    void latchTellsItsListeners() throws Exception {
        BlockingQueue<String> heard = new LinkedBlockingQueue<>();
        LeaderLatch latch =
                new LeaderLatch(one, "/leader", "me", LeaderLatch.CloseMode.NOTIFY_LEADER);
        latch.addListener(
                new LeaderLatchListener() {
                    @Override
                    public void isLeader() {
                        heard.add("leader");
                    }

                    @Override
                    public void notLeader() {
                        heard.add("not leader");
                    }
                });
        latch.start();
        assertTrue(latch.await(LATE_S, TimeUnit.SECONDS));
        assertEquals("leader", heard.poll(LATE_S, TimeUnit.SECONDS));
        latch.close();
        assertEquals("not leader", heard.poll(LATE_S, TimeUnit.SECONDS));
    }

    @Test
    void latchPassesOnWhenTheLeadersSessionEnds() throws Exception {
        LeaderLatch first = new LeaderLatch(one, "/leader", "first");
        first.start();
        assertTrue(first.await(LATE_S, TimeUnit.SECONDS));
        LeaderLatch second = closing(new LeaderLatch(two, "/leader", "second"));
        second.start();
        assertFalse(second.await(100, TimeUnit.MILLISECONDS));
        one.close();
        assertTrue(second.await(LATE_S, TimeUnit.SECONDS));
        assertEquals("second", second.getLeader().getId());
    }

    @Test
    void selectorGivesEverybodyATurn() throws Exception {
        AtomicInteger leading = new AtomicInteger();
        CountDownLatch turns = new CountDownLatch(9);
        List<String> order = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
            String name = "candidate " + i;
            LeaderSelectorListenerAdapter work =
                    new LeaderSelectorListenerAdapter() {
                        @Override
                        public void takeLeadership(CuratorFramework client) {
                            if (leading.incrementAndGet() != 1) {
                                throw new IllegalStateException("two leaders");
                            }
                            synchronized (order) {
                                order.add(name);
                            }
                            leading.decrementAndGet();
                            turns.countDown();
                        }
                    };
            LeaderSelector selector =
                    closing(new LeaderSelector(i % 2 == 0 ? one : two, "/selector", work));
            selector.setId(name);
            selector.autoRequeue();
            selector.start();
        }
        assertTrue(turns.await(LATE_S, TimeUnit.SECONDS), "only " + order);
        // The last one may begin when the first nine turns are over.
        eventually(
                "a turn for everybody",
                () -> {
                    synchronized (order) {
                        return order.stream().distinct().count() == 3;
                    }
                });
    }

    @Test
    void selectorCanBeInterrupted() throws Exception {
        CountDownLatch started = new CountDownLatch(1);
        CountDownLatch ended = new CountDownLatch(1);
        LeaderSelector selector =
                closing(
                        new LeaderSelector(
                                one,
                                "/selector",
                                new LeaderSelectorListenerAdapter() {
                                    @Override
                                    public void takeLeadership(CuratorFramework client)
                                            throws InterruptedException {
                                        started.countDown();
                                        try {
                                            new CountDownLatch(1).await();
                                        } finally {
                                            ended.countDown();
                                        }
                                    }
                                }));
        selector.start();
        assertTrue(started.await(LATE_S, TimeUnit.SECONDS));
        assertTrue(selector.hasLeadership());
        selector.interruptLeadership();
        assertTrue(ended.await(LATE_S, TimeUnit.SECONDS));
    }
}
