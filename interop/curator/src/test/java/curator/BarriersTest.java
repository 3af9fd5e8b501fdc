package curator;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.barriers.DistributedBarrier;
import org.apache.curator.framework.recipes.barriers.DistributedDoubleBarrier;
import org.junit.jupiter.api.Test;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/** Everybody waits for a sign, or for everybody. */
class BarriersTest extends Fixture {
    private static final int LATE_S = 30;

    @Test
    void barrierHoldsUntilRemoved() throws Exception {
        DistributedBarrier gate = new DistributedBarrier(one, "/barrier");
        gate.setBarrier();
        DistributedBarrier other = new DistributedBarrier(two, "/barrier");
        assertFalse(other.waitOnBarrier(200, TimeUnit.MILLISECONDS));
        Future<Boolean> waiting =
                threads.submit(() -> other.waitOnBarrier(LATE_S, TimeUnit.SECONDS));
        gate.removeBarrier();
        assertTrue(waiting.get(LATE_S, TimeUnit.SECONDS));
        assertTrue(other.waitOnBarrier(LATE_S, TimeUnit.SECONDS), "without one nobody waits");
    }

    @Test
    void doubleBarrierStartsAndEndsTogether() throws Exception {
        int members = 5;
        AtomicInteger entering = new AtomicInteger();
        AtomicInteger leaving = new AtomicInteger();
        List<Future<?>> all = new ArrayList<>();
        for (int i = 0; i < members; i++) {
            CuratorFramework client = i % 2 == 0 ? one : two;
            all.add(
                    threads.submit(
                            () -> {
                                var barrier =
                                        new DistributedDoubleBarrier(client, "/double", members);
                                entering.incrementAndGet();
                                assertTrue(barrier.enter(LATE_S, TimeUnit.SECONDS));
                                assertEquals(members, entering.get());
                                leaving.incrementAndGet();
                                assertTrue(barrier.leave(LATE_S, TimeUnit.SECONDS));
                                assertEquals(members, leaving.get());
                                return null;
                            }));
        }
        for (Future<?> each : all) {
            each.get(2 * LATE_S, TimeUnit.SECONDS);
        }
    }
}
