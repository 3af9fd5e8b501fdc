package curator;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.queue.DistributedDelayQueue;
import org.apache.curator.framework.recipes.queue.DistributedIdQueue;
import org.apache.curator.framework.recipes.queue.DistributedPriorityQueue;
import org.apache.curator.framework.recipes.queue.DistributedQueue;
import org.apache.curator.framework.recipes.queue.QueueBuilder;
import org.apache.curator.framework.recipes.queue.QueueConsumer;
import org.apache.curator.framework.recipes.queue.QueueSerializer;
import org.apache.curator.framework.recipes.queue.SimpleDistributedQueue;
import org.apache.curator.framework.state.ConnectionState;
import org.junit.jupiter.api.Test;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/** Queues kept in sequential nodes: plain, with ids, priorities, delays; locked consumption. */
class QueuesTest extends Fixture {
    private static final int LATE_S = 30;
    private final BlockingQueue<String> eaten = new LinkedBlockingQueue<>();

    private static final QueueSerializer<String> TEXT =
            new QueueSerializer<>() {
                @Override
                public byte[] serialize(String item) {
                    return bytes(item);
                }

                @Override
                public String deserialize(byte[] data) {
                    return text(data);
                }
            };

    private final QueueConsumer<String> eater =
            new QueueConsumer<>() {
                @Override
                public void consumeMessage(String message) {
                    eaten.add(message);
                }

                @Override
                public void stateChanged(CuratorFramework client, ConnectionState state) {}
            };

    private List<String> eat(int count) throws InterruptedException {
        List<String> items = new ArrayList<>();
        while (items.size() < count) {
            String item = eaten.poll(LATE_S, TimeUnit.SECONDS);
            assertTrue(item != null, "only " + items);
            items.add(item);
        }
        return items;
    }

    @Test
    void itemsComeInOrder() throws Exception {
        DistributedQueue<String> producer =
                closing(QueueBuilder.builder(one, null, TEXT, "/queue").buildQueue());
        producer.start();
        List<String> sent = new ArrayList<>();
        for (int i = 0; i < 50; i++) {
            producer.put("item " + i);
            sent.add("item " + i);
        }
        assertTrue(producer.flushPuts(LATE_S, TimeUnit.SECONDS));
        closing(QueueBuilder.builder(two, eater, TEXT, "/queue").buildQueue()).start();
        assertEquals(sent, eat(50));
    }

    @Test
    void lockedQueueGivesEachItemOnce() throws Exception {
        for (CuratorFramework client : List.of(one, two)) {
            closing(
                            QueueBuilder.builder(client, eater, TEXT, "/queue")
                                    .lockPath("/queue-locks")
                                    .buildQueue())
                    .start();
        }
        DistributedQueue<String> producer =
                closing(
                        QueueBuilder.builder(one, null, TEXT, "/queue")
                                .lockPath("/queue-locks")
                                .buildQueue());
        producer.start();
        for (int i = 0; i < 30; i++) {
            producer.put("item " + i);
        }
        assertEquals(30, eat(30).stream().distinct().count());
        eventually("empty", () -> one.getChildren().forPath("/queue").isEmpty());
        assertNull(eaten.peek());
    }

    @Test
    void itemsCanBeTakenBackById() throws Exception {
        DistributedIdQueue<String> producer =
                closing(QueueBuilder.builder(one, null, TEXT, "/ids").buildIdQueue());
        producer.start();
        producer.put("a", "id-a");
        producer.put("b", "id-b");
        producer.put("c", "id-c");
        assertTrue(producer.flushPuts(LATE_S, TimeUnit.SECONDS));
        assertEquals(1, producer.remove("id-b"));
        closing(QueueBuilder.builder(two, eater, TEXT, "/ids").buildIdQueue()).start();
        assertEquals(List.of("a", "c"), eat(2));
    }

    @Test
    void lowPriorityNumbersComeFirst() throws Exception {
        DistributedPriorityQueue<String> producer =
                closing(QueueBuilder.builder(one, null, TEXT, "/prio").buildPriorityQueue(0));
        producer.start();
        for (int priority : List.of(5, 1, 9, 3)) {
            producer.put("p" + priority, priority);
        }
        assertTrue(producer.flushPuts(LATE_S, TimeUnit.SECONDS));
        closing(QueueBuilder.builder(two, eater, TEXT, "/prio").buildPriorityQueue(0)).start();
        assertEquals(List.of("p1", "p3", "p5", "p9"), eat(4));
    }

    @Test
    void delayedItemsWait() throws Exception {
        DistributedDelayQueue<String> queue =
                closing(QueueBuilder.builder(one, eater, TEXT, "/delay").buildDelayQueue());
        queue.start();
        long now = System.currentTimeMillis();
        // On a busy machine it may take a while to put one more.
        queue.put("later", now + 3000);
        queue.put("sooner", now + 300);
        assertEquals(List.of("sooner", "later"), eat(2));
        assertTrue(System.currentTimeMillis() >= now + 3000);
    }

    @Test
    void simpleQueueOffersAndTakes() throws Exception {
        SimpleDistributedQueue mine = new SimpleDistributedQueue(one, "/simple");
        SimpleDistributedQueue yours = new SimpleDistributedQueue(two, "/simple");
        for (String item : List.of("a", "b", "c")) {
            assertTrue(mine.offer(bytes(item)));
        }
        assertEquals("a", text(yours.peek()));
        assertEquals("a", text(yours.take()));
        assertEquals("b", text(mine.poll()));
        assertEquals("c", text(yours.remove()));
        assertNull(yours.poll());
        var waiting = threads.submit(() -> text(yours.poll(LATE_S, TimeUnit.SECONDS)));
        mine.offer(bytes("d"));
        assertEquals("d", waiting.get(LATE_S, TimeUnit.SECONDS));
    }
}
