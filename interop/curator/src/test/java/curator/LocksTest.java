package curator;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.locks.InterProcessLock;
import org.apache.curator.framework.recipes.locks.InterProcessMultiLock;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.locks.InterProcessReadWriteLock;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreMutex;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreV2;
import org.apache.curator.framework.recipes.locks.Lease;
import org.apache.curator.framework.recipes.shared.SharedCount;
import org.junit.jupiter.api.Test;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/** Mutex, read-write lock, semaphore and multi lock between two clients. */
class LocksTest extends Fixture {
    private static final int SOON_MS = 200;
    private static final int LATE_S = 30;

    /** For locks that are to be had, however busy the machine is. */
    private static boolean get(InterProcessLock lock) throws Exception {
        return lock.acquire(LATE_S, TimeUnit.SECONDS);
    }

    /** For locks that are not. */
    private static boolean tryNow(InterProcessLock lock) throws Exception {
        return lock.acquire(SOON_MS, TimeUnit.MILLISECONDS);
    }

    /** Runs {@code body} to its end on a thread of its own: Curator's locks belong to a thread. */
    private boolean elsewhere(java.util.concurrent.Callable<Boolean> body) throws Exception {
        return threads.submit(body).get(LATE_S, TimeUnit.SECONDS);
    }

    @Test
    void mutexIsHeldByOneAndReentrant() throws Exception {
        InterProcessMutex mine = new InterProcessMutex(one, "/lock");
        InterProcessMutex yours = new InterProcessMutex(two, "/lock");
        mine.acquire();
        mine.acquire();
        assertFalse(elsewhere(() -> tryNow(yours)));
        mine.release();
        assertTrue(mine.isAcquiredInThisProcess());
        assertFalse(elsewhere(() -> tryNow(yours)));
        mine.release();
        assertTrue(
                elsewhere(
                        () -> {
                            boolean got = yours.acquire(LATE_S, TimeUnit.SECONDS);
                            yours.release();
                            return got;
                        }));
        assertEquals(0, mine.getParticipantNodes().size());
    }

    @Test
    void mutexAdmitsOneAtATimeUnderContention() throws Exception {
        AtomicInteger inside = new AtomicInteger();
        AtomicInteger turns = new AtomicInteger();
        List<Future<?>> all = new ArrayList<>();
        for (int i = 0; i < 6; i++) {
            CuratorFramework client = i % 2 == 0 ? one : two;
            all.add(
                    threads.submit(
                            () -> {
                                InterProcessMutex lock = new InterProcessMutex(client, "/lock");
                                for (int turn = 0; turn < 10; turn++) {
                                    lock.acquire();
                                    assertEquals(1, inside.incrementAndGet());
                                    turns.incrementAndGet();
                                    inside.decrementAndGet();
                                    lock.release();
                                }
                                return null;
                            }));
        }
        for (Future<?> each : all) {
            each.get(2 * LATE_S, TimeUnit.SECONDS);
        }
        assertEquals(60, turns.get());
    }

    @Test
    void mutexPassesOnWhenItsHolderGoes() throws Exception {
        InterProcessMutex mine = new InterProcessMutex(one, "/lock");
        mine.acquire();
        Future<Boolean> waiting =
                threads.submit(
                        () ->
                                new InterProcessMutex(two, "/lock")
                                        .acquire(LATE_S, TimeUnit.SECONDS));
        eventually("both stand in line", () -> mine.getParticipantNodes().size() == 2);
        one.close();
        assertTrue(waiting.get(LATE_S, TimeUnit.SECONDS));
    }

    @Test
    void holderCanBeAskedToRelease() throws Exception {
        InterProcessMutex mine = new InterProcessMutex(one, "/lock");
        CountDownLatch asked = new CountDownLatch(1);
        mine.makeRevocable(lock -> asked.countDown());
        mine.acquire();
        Collection<String> nodes = mine.getParticipantNodes();
        org.apache.curator.framework.recipes.locks.Revoker.attemptRevoke(
                two, nodes.iterator().next());
        assertTrue(asked.await(LATE_S, TimeUnit.SECONDS));
        mine.release();
    }

    @Test
    void semaphoreMutexIsNotReentrant() throws Exception {
        InterProcessSemaphoreMutex lock = new InterProcessSemaphoreMutex(one, "/lock");
        lock.acquire();
        assertFalse(elsewhere(() -> tryNow(new InterProcessSemaphoreMutex(two, "/lock"))));
        assertFalse(elsewhere(() -> tryNow(new InterProcessSemaphoreMutex(one, "/lock"))));
        lock.release();
        assertTrue(elsewhere(() -> get(new InterProcessSemaphoreMutex(two, "/lock"))));
    }

    @Test
    void readersShareAndWritersDoNot() throws Exception {
        InterProcessReadWriteLock mine = new InterProcessReadWriteLock(one, "/lock");
        InterProcessReadWriteLock yours = new InterProcessReadWriteLock(two, "/lock");
        mine.readLock().acquire();
        assertTrue(
                elsewhere(
                        () -> {
                            boolean got = get(yours.readLock());
                            yours.readLock().release();
                            return got;
                        }));
        assertFalse(elsewhere(() -> tryNow(yours.writeLock())));
        mine.readLock().release();
        mine.writeLock().acquire();
        // A writer may take the read lock as well, nobody else may.
        mine.readLock().acquire();
        assertFalse(elsewhere(() -> tryNow(yours.readLock())));
        mine.writeLock().release();
        assertTrue(elsewhere(() -> get(yours.readLock())));
        mine.readLock().release();
    }

    @Test
    void semaphoreHandsOutSoManyLeases() throws Exception {
        InterProcessSemaphoreV2 mine = new InterProcessSemaphoreV2(one, "/semaphore", 3);
        InterProcessSemaphoreV2 yours = new InterProcessSemaphoreV2(two, "/semaphore", 3);
        Collection<Lease> held = mine.acquire(2);
        Lease third = yours.acquire(LATE_S, TimeUnit.SECONDS);
        assertNotNull(third);
        assertNull(yours.acquire(SOON_MS, TimeUnit.MILLISECONDS));
        mine.returnAll(held);
        assertNotNull(yours.acquire(LATE_S, TimeUnit.SECONDS));
        assertEquals(2, mine.getParticipantNodes().size());
    }

    @Test
    void semaphoreFollowsASharedCount() throws Exception {
        SharedCount size = closing(new SharedCount(one, "/size", 1));
        size.start();
        InterProcessSemaphoreV2 semaphore = new InterProcessSemaphoreV2(one, "/semaphore", size);
        assertNotNull(semaphore.acquire(LATE_S, TimeUnit.SECONDS));
        assertNull(semaphore.acquire(SOON_MS, TimeUnit.MILLISECONDS));
        size.setCount(2);
        assertNotNull(semaphore.acquire(LATE_S, TimeUnit.SECONDS));
    }

    @Test
    void multiLockTakesAllOrNone() throws Exception {
        List<String> paths = List.of("/a", "/b", "/c");
        InterProcessMultiLock mine = new InterProcessMultiLock(one, paths);
        InterProcessMutex middle = new InterProcessMutex(two, "/b");
        elsewhere(
                () -> {
                    middle.acquire();
                    return true;
                });
        assertFalse(tryNow(mine));
        assertTrue(
                elsewhere(
                        () -> {
                            InterProcessMutex first = new InterProcessMutex(two, "/a");
                            boolean got = get(first);
                            first.release();
                            return got;
                        }),
                "what it had is given back");
        two.close();
        assertTrue(mine.acquire(LATE_S, TimeUnit.SECONDS));
        mine.release();
    }
}
