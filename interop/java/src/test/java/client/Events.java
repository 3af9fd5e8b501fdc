package client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;

import org.apache.zookeeper.WatchedEvent;
import org.apache.zookeeper.Watcher;
import org.awaitility.Awaitility;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/** A watcher that writes down what it is told, in order. */
final class Events implements Watcher {
    private static final long WAIT_S = 30;

    private final LinkedBlockingQueue<WatchedEvent> queue = new LinkedBlockingQueue<>();
    private volatile Event.KeeperState state = Event.KeeperState.Disconnected;

    @Override
    public void process(WatchedEvent event) {
        state = event.getState();
        queue.add(event);
    }

    /** The next event, waited for. */
    WatchedEvent take() throws InterruptedException {
        WatchedEvent event = queue.poll(WAIT_S, TimeUnit.SECONDS);
        assertNotNull(event, "no event within " + WAIT_S + " s");
        return event;
    }

    /** The next events must be these: {@code "NodeCreated /a"}, or a state such as "Expired". */
    void expect(String... expected) throws InterruptedException {
        List<String> seen = new ArrayList<>();
        while (seen.size() < expected.length) {
            WatchedEvent event = queue.poll(WAIT_S, TimeUnit.SECONDS);
            if (event == null) {
                break;
            }
            seen.add(describe(event));
        }
        assertEquals(List.of(expected), seen);
    }

    /** The same, in any order. */
    void expectAnyOrder(String... expected) throws InterruptedException {
        List<String> seen = new ArrayList<>();
        while (seen.size() < expected.length) {
            seen.add(describe(take()));
        }
        assertEquals(sorted(List.of(expected)), sorted(seen));
    }

    /** Nothing has arrived; call {@link Fixture#settle} first. */
    void expectNothing() {
        List<String> seen = new ArrayList<>();
        queue.forEach(event -> seen.add(describe(event)));
        assertEquals(List.of(), seen);
    }

    /** Waits for a connection state, whatever else happens. */
    void awaitState(Event.KeeperState wanted) {
        Awaitility.await(wanted.toString())
                .atMost(Duration.ofSeconds(WAIT_S))
                .pollInterval(Duration.ofMillis(10))
                .until(() -> state == wanted);
    }

    void forget() {
        queue.clear();
    }

    private static String describe(WatchedEvent event) {
        if (event.getType() == Event.EventType.None) {
            return event.getState().toString();
        }
        return event.getType() + " " + event.getPath();
    }

    private static List<String> sorted(List<String> lines) {
        List<String> copy = new ArrayList<>(lines);
        copy.sort(null);
        return copy;
    }
}
