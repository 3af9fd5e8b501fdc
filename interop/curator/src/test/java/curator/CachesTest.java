package curator;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.apache.curator.framework.recipes.cache.CuratorCache;
import org.apache.curator.framework.recipes.cache.CuratorCacheListener;
import org.apache.curator.framework.recipes.cache.NodeCache;
import org.apache.curator.framework.recipes.cache.PathChildrenCache;
import org.apache.curator.framework.recipes.cache.TreeCache;
import org.apache.curator.framework.recipes.watch.PersistentWatcher;
import org.junit.jupiter.api.Test;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/** Local copies of nodes and subtrees, kept up to date by watches. */
@SuppressWarnings("deprecation") // The older caches are what many programs run on.
class CachesTest extends Fixture {
    private static final int LATE_S = 30;
    private final BlockingQueue<String> heard = new LinkedBlockingQueue<>();

    private void expect(String... expected) throws InterruptedException {
        List<String> seen = new ArrayList<>();
        while (seen.size() < expected.length) {
            String next = heard.poll(LATE_S, TimeUnit.SECONDS);
            if (next == null) {
                break;
            }
            seen.add(next);
        }
        assertEquals(List.of(expected), seen);
    }

    private void write(String path, String data) throws Exception {
        two.create().orSetData().creatingParentsIfNeeded().forPath(path, bytes(data));
    }

    @Test
    void curatorCacheFollowsASubtree() throws Exception {
        write("/t/a", "1");
        CuratorCache cache = closing(CuratorCache.build(one, "/t"));
        CountDownLatch ready = new CountDownLatch(1);
        cache.listenable()
                .addListener(
                        CuratorCacheListener.builder()
                                .forInitialized(ready::countDown)
                                .forCreates(node -> heard.add("created " + node.getPath()))
                                .forChanges(
                                        (old, node) ->
                                                heard.add(
                                                        text(old.getData())
                                                                + " became "
                                                                + text(node.getData())))
                                .forDeletes(node -> heard.add("deleted " + node.getPath()))
                                .build());
        cache.start();
        assertTrue(ready.await(LATE_S, TimeUnit.SECONDS));
        expect("created /t", "created /t/a");
        write("/t/a", "2");
        write("/t/a/b", "3");
        write("/t/c", "4");
        // The cache reads what is new before it tells of it; a deletion it tells of at once.
        expect("1 became 2", "created /t/a/b", "created /t/c");
        two.delete().deletingChildrenIfNeeded().forPath("/t/a");
        expect("deleted /t/a/b", "deleted /t/a");
        assertEquals("4", text(cache.get("/t/c").orElseThrow().getData()));
        assertEquals(2, cache.size());
    }

    @Test
    void nodeCacheFollowsOneNode() throws Exception {
        NodeCache cache = closing(new NodeCache(one, "/config"));
        cache.getListenable()
                .addListener(
                        () -> {
                            var current = cache.getCurrentData();
                            heard.add(current == null ? "none" : text(current.getData()));
                        });
        cache.start(true);
        assertNull(cache.getCurrentData());
        write("/config", "v1");
        expect("v1");
        write("/config", "v2");
        expect("v2");
        two.delete().forPath("/config");
        expect("none");
        write("/config", "v3");
        expect("v3");
    }

    @Test
    void pathChildrenCacheFollowsChildren() throws Exception {
        write("/p/a", "1");
        PathChildrenCache cache = closing(new PathChildrenCache(one, "/p", true));
        cache.start(PathChildrenCache.StartMode.BUILD_INITIAL_CACHE);
        cache.getListenable()
                .addListener(
                        (client, event) ->
                                heard.add(event.getType() + " " + event.getData().getPath()));
        assertEquals("1", text(cache.getCurrentData("/p/a").getData()));
        write("/p/b", "2");
        expect("CHILD_ADDED /p/b");
        write("/p/b", "3");
        expect("CHILD_UPDATED /p/b");
        two.delete().forPath("/p/a");
        expect("CHILD_REMOVED /p/a");
        assertEquals(1, cache.getCurrentData().size());
        assertEquals("3", text(cache.getCurrentData("/p/b").getData()));
    }

    @Test
    void treeCacheFollowsASubtree() throws Exception {
        write("/t/a/b", "1");
        TreeCache cache = closing(new TreeCache(one, "/t"));
        CountDownLatch ready = new CountDownLatch(1);
        cache.getListenable()
                .addListener(
                        (client, event) -> {
                            if (event.getData() == null) {
                                ready.countDown();
                            } else if (ready.getCount() == 0) {
                                heard.add(event.getType() + " " + event.getData().getPath());
                            }
                        });
        cache.start();
        assertTrue(ready.await(LATE_S, TimeUnit.SECONDS));
        assertEquals("1", text(cache.getCurrentData("/t/a/b").getData()));
        write("/t/a/b", "2");
        expect("NODE_UPDATED /t/a/b");
        write("/t/a/c", "3");
        expect("NODE_ADDED /t/a/c");
        two.delete().forPath("/t/a/b");
        expect("NODE_REMOVED /t/a/b");
        assertNotNull(cache.getCurrentChildren("/t/a").get("c"));
    }

    @Test
    void curatorCacheKeepsUpWithABurst() throws Exception {
        CuratorCache cache = closing(CuratorCache.build(one, "/burst"));
        cache.start();
        for (int i = 0; i < 500; i++) {
            write("/burst/" + i % 50, "" + i);
        }
        eventually("the last value of each", () -> holdsLastOfBurst(cache));
    }

    private static boolean holdsLastOfBurst(CuratorCache cache) {
        for (int i = 450; i < 500; i++) {
            var node = cache.get("/burst/" + i % 50);
            if (node.isEmpty() || !text(node.get().getData()).equals("" + i)) {
                return false;
            }
        }
        return true;
    }

    @Test
    void persistentWatcherHearsASubtree() throws Exception {
        PersistentWatcher watcher = closing(new PersistentWatcher(one, "/w", true));
        CountDownLatch set = new CountDownLatch(1);
        watcher.getResetListenable().addListener(set::countDown);
        watcher.getListenable()
                .addListener(event -> heard.add(event.getType() + " " + event.getPath()));
        watcher.start();
        assertTrue(set.await(LATE_S, TimeUnit.SECONDS));
        write("/w/x", "1");
        write("/w/x", "2");
        two.delete().forPath("/w/x");
        expect("NodeCreated /w", "NodeCreated /w/x", "NodeDataChanged /w/x", "NodeDeleted /w/x");
    }
}
