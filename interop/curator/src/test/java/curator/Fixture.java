package curator;

import static org.awaitility.Awaitility.await;

import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.retry.RetryNTimes;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.TestInfo;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;

/** Two clients, as two processes would have them, in a namespace of the test's own. */
abstract class Fixture {
    static final String HOSTPORT = System.getenv("ZK_HOSTPORT");
    private static final int SESSION_MS = 6000;
    private static final int CONNECT_MS = 5000;
    private static final Duration PATIENCE = Duration.ofSeconds(30);
    private static final AtomicInteger TESTS = new AtomicInteger();

    CuratorFramework one;
    CuratorFramework two;

    /** Threads that stand for the other process. */
    final ExecutorService threads = Executors.newCachedThreadPool();

    private final List<AutoCloseable> open = new ArrayList<>();
    private String namespace;

    @BeforeEach
    void connect(TestInfo test) throws Exception {
        namespace = "curator-" + getClass().getSimpleName() + "-" + TESTS.incrementAndGet();
        one = client();
        two = client();
    }

    @AfterEach
    void disconnect() throws Exception {
        threads.shutdownNow();
        Collections.reverse(open);
        for (AutoCloseable item : open) {
            item.close();
        }
    }

    CuratorFramework client() throws Exception {
        CuratorFramework client =
                CuratorFrameworkFactory.builder()
                        .connectString(HOSTPORT)
                        .namespace(namespace)
                        .sessionTimeoutMs(SESSION_MS)
                        .connectionTimeoutMs(CONNECT_MS)
                        .retryPolicy(new RetryNTimes(20, 250))
                        .build();
        client.start();
        client.blockUntilConnected();
        return closing(client);
    }

    /** Closed after the test, last opened first. */
    <T extends AutoCloseable> T closing(T item) {
        open.add(item);
        return item;
    }

    static void eventually(String what, Callable<Boolean> condition) {
        await(what).atMost(PATIENCE).pollInterval(Duration.ofMillis(20)).until(condition);
    }

    static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    static String text(byte[] data) {
        return new String(data, StandardCharsets.UTF_8);
    }

    /** Sends words to whoever started the server; see interop/README.md. */
    static void control(String... words) throws Exception {
        String[] where = System.getenv("ZK_CONTROL").split(":");
        try (Socket socket = new Socket(where[0], Integer.parseInt(where[1]))) {
            socket.setSoTimeout(60_000);
            var answers = new BufferedReader(new InputStreamReader(socket.getInputStream()));
            for (String word : words) {
                socket.getOutputStream().write(bytes(word + "\n"));
                if (!"ok".equals(answers.readLine())) {
                    throw new IllegalStateException("the server could not " + word);
                }
            }
        }
    }
}
