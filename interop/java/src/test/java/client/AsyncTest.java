package client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.AsyncCallback.Create2Callback;
import org.apache.zookeeper.AsyncCallback.DataCallback;
import org.apache.zookeeper.AsyncCallback.StatCallback;
import org.apache.zookeeper.AsyncCallback.StringCallback;
import org.apache.zookeeper.AsyncCallback.VoidCallback;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.Watcher.WatcherType;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.data.ACL;
import org.junit.jupiter.api.Test;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/** The callback form of every call: its code, and that callbacks come in the order of the calls. */
class AsyncTest extends Fixture {
    private final LinkedBlockingQueue<String> answers = new LinkedBlockingQueue<>();

    private List<String> take(int count) throws InterruptedException {
        List<String> taken = new ArrayList<>();
        while (taken.size() < count) {
            String answer = answers.poll(20, TimeUnit.SECONDS);
            assertTrue(answer != null, "no answer after " + taken);
            taken.add(answer);
        }
        return taken;
    }

    /** What a callback heard: the call's name, its code, and one detail of the answer. */
    private void heard(String call, int rc, Object detail) {
        answers.add(call + " " + rc + " " + detail);
    }

    private VoidCallback voidly(String call) {
        return (rc, path, context) -> heard(call, rc, path.substring(root.length()));
    }

    private StatCallback stating(String call) {
        return (rc, path, context, stat) -> heard(call, rc, stat == null ? "" : stat.getVersion());
    }

    private DataCallback data(String call) {
        return (rc, path, context, data, stat) -> heard(call, rc, text(data));
    }

    private StringCallback naming(String call) {
        return (rc, path, context, name) ->
                heard(call, rc, name == null ? "" : name.substring(root.length()));
    }

    private Create2Callback creating(String call) {
        return (rc, path, context, name, stat) ->
                heard(call, rc, name == null ? "" : stat.getVersion());
    }

    @Test
    void everyWriteAnswersInOrder() throws Exception {
        String a = root + "/a";
        List<ACL> open = Ids.OPEN_ACL_UNSAFE;
        zk.create(a, bytes("1"), open, CreateMode.PERSISTENT, naming("create"), null);
        zk.create(a + "/e", null, open, CreateMode.EPHEMERAL, creating("create2"), null);
        zk.setData(a, bytes("2"), 0, stating("setData"), null);
        zk.getData(a, false, data("getData"), null);
        zk.setACL(a, open, 0, stating("setACL"), null);
        zk.sync(a, voidly("sync"), null);
        zk.delete(a + "/e", -1, voidly("delete"), null);
        zk.exists(a, false, stating("exists"), null);
        assertEquals(
                List.of(
                        "create 0 /a",
                        "create2 0 0",
                        "setData 0 1",
                        "getData 0 2",
                        "setACL 0 1",
                        "sync 0 /a",
                        "delete 0 /a/e",
                        "exists 0 1"),
                take(8));
    }

    @Test
    void everyReadAnswersInOrder() throws Exception {
        String a = create(root + "/a", "1");
        String e = create(a + "/e", "", CreateMode.EPHEMERAL);
        zk.getChildren(a, false, (rc, path, context, names) -> heard("children", rc, names), null);
        zk.getChildren(
                a,
                false,
                (rc, path, context, names, stat) -> heard("children2", rc, stat.getNumChildren()),
                null);
        zk.getACL(a, null, (rc, path, context, acl, stat) -> heard("getACL", rc, acl.size()), null);
        zk.getAllChildrenNumber(a, (rc, path, context, count) -> heard("count", rc, count), null);
        zk.getEphemerals(a, (rc, context, paths) -> heard("mine", rc, paths.contains(e)), null);
        zk.addWatch(a, told, AddWatchMode.PERSISTENT, voidly("addWatch"), null);
        zk.removeAllWatches(a, WatcherType.Any, false, voidly("removeWatches"), null);
        zk.getConfig(
                false,
                (rc, path, context, data, stat) -> heard("config", rc, text(data).isEmpty()),
                null);
        assertEquals(
                List.of(
                        "children 0 [e]",
                        "children2 0 1",
                        "getACL 0 1",
                        "count 0 1",
                        "mine 0 true",
                        "addWatch 0 /a",
                        "removeWatches 0 /a",
                        "config 0 " + CONFIG_IS_EMPTY),
                take(8));
    }

    @Test
    void everyFailureHasItsCode() throws Exception {
        String no = root + "/no";
        List<ACL> open = Ids.OPEN_ACL_UNSAFE;
        zk.create(root, null, open, CreateMode.PERSISTENT, naming("create"), null);
        zk.create(no + "/x", null, open, CreateMode.PERSISTENT, creating("create2"), null);
        zk.exists(no, false, stating("exists"), null);
        zk.getData(no, false, data("getData"), null);
        zk.setData(no, null, -1, stating("setData"), null);
        zk.setData(root, null, 9, stating("setData"), null);
        zk.getChildren(no, false, (rc, path, context, names) -> heard("children", rc, ""), null);
        zk.getACL(no, null, (rc, path, context, acl, stat) -> heard("getACL", rc, ""), null);
        zk.setACL(root, open, 9, stating("setACL"), null);
        zk.getAllChildrenNumber(no, (rc, path, context, count) -> heard("count", rc, ""), null);
        zk.removeAllWatches(root, WatcherType.Any, false, voidly("removeWatches"), null);
        zk.delete(no, -1, voidly("delete"), null);
        assertEquals(
                List.of(
                        "create -110 ",
                        "create2 -101 ",
                        "exists -101 ",
                        "getData -101 null",
                        "setData -101 ",
                        "setData -103 ",
                        "children -101 ",
                        "getACL -101 ",
                        "setACL -103 ",
                        "count -101 ",
                        "removeWatches -121 ",
                        "delete -101 /no"),
                take(12));
    }

    @Test
    void twoThousandPipelinedWritesKeepTheirOrder() throws Exception {
        int count = 2000;
        List<String> names = Collections.synchronizedList(new ArrayList<>());
        CountDownLatch done = new CountDownLatch(2 * count);
        for (int i = 0; i < count; i++) {
            zk.create(
                    root + "/n-",
                    bytes("" + i),
                    Ids.OPEN_ACL_UNSAFE,
                    CreateMode.PERSISTENT_SEQUENTIAL,
                    (rc, path, context, name) -> {
                        names.add(rc + name.substring(root.length()));
                        done.countDown();
                    },
                    null);
            // A read behind the write of its own session sees it.
            zk.getChildren(
                    root,
                    false,
                    (rc, path, context, children, stat) -> {
                        names.add(rc + " " + stat.getNumChildren());
                        done.countDown();
                    },
                    null);
        }
        assertTrue(done.await(60, TimeUnit.SECONDS));
        List<String> expected = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            expected.add(String.format("0/n-%010d", i));
            expected.add("0 " + (i + 1));
        }
        assertEquals(expected, names);
    }
}
