package curator;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.atomic.AtomicValue;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicInteger;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicLong;
import org.apache.curator.framework.recipes.atomic.PromotedToLock;
import org.apache.curator.framework.recipes.shared.SharedCount;
import org.apache.curator.framework.recipes.shared.SharedValue;
import org.apache.curator.retry.RetryNTimes;
import org.apache.curator.retry.RetryOneTime;
import org.junit.jupiter.api.Test;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;

/** Numbers and values that everybody sees and changes, by the version of one node. */
class CountersTest extends Fixture {
    private static final int LATE_S = 60;

    @Test
    void sharedCountIsSeenByTheOther() throws Exception {
        SharedCount mine = closing(new SharedCount(one, "/count", 7));
        SharedCount yours = closing(new SharedCount(two, "/count", 0));
        mine.start();
        yours.start();
        assertEquals(7, yours.getCount());
        mine.setCount(8);
        eventually("the other sees 8", () -> yours.getCount() == 8);
        var stale = yours.getVersionedValue();
        assertTrue(yours.trySetCount(stale, 9));
        eventually("this one sees 9", () -> mine.getCount() == 9);
        assertFalse(yours.trySetCount(stale, 10), "the version has moved on");
    }

    @Test
    void sharedValueHoldsBytes() throws Exception {
        SharedValue mine = closing(new SharedValue(one, "/value", bytes("seed")));
        SharedValue yours = closing(new SharedValue(two, "/value", bytes("unused")));
        mine.start();
        yours.start();
        assertEquals("seed", text(yours.getValue()));
        yours.setValue(bytes("grown"));
        eventually("grown", () -> "grown".equals(text(mine.getValue())));
    }

    @Test
    void atomicLongLosesNoIncrement() throws Exception {
        List<Future<?>> all = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
            CuratorFramework client = i % 2 == 0 ? one : two;
            all.add(
                    threads.submit(
                            () -> {
                                var promoted =
                                        PromotedToLock.builder()
                                                .lockPath("/lock")
                                                .timeout(LATE_S, TimeUnit.SECONDS)
                                                .build();
                                var number =
                                        new DistributedAtomicLong(
                                                client, "/long", new RetryOneTime(1), promoted);
                                for (int turn = 0; turn < 25; turn++) {
                                    // Refused means not done: ask again.
                                    while (!number.increment().succeeded()) {
                                        Thread.onSpinWait();
                                    }
                                }
                                return null;
                            }));
        }
        for (Future<?> each : all) {
            each.get(LATE_S, TimeUnit.SECONDS);
        }
        var number = new DistributedAtomicLong(one, "/long", new RetryOneTime(1));
        assertEquals(100, number.get().postValue());
    }

    @Test
    void atomicIntegerComparesAndSets() throws Exception {
        var number = new DistributedAtomicInteger(one, "/int", new RetryNTimes(3, 10));
        assertTrue(number.initialize(5));
        assertFalse(number.initialize(6));
        assertTrue(number.compareAndSet(5, 10).succeeded());
        assertFalse(number.compareAndSet(5, 11).succeeded());
        AtomicValue<Integer> added = number.add(32);
        assertEquals(10, added.preValue());
        assertEquals(42, added.postValue());
        assertEquals(41, number.decrement().postValue());
        assertTrue(number.trySet(0).succeeded());
        assertEquals(
                0,
                new DistributedAtomicInteger(two, "/int", new RetryOneTime(1)).get().postValue());
    }
}
