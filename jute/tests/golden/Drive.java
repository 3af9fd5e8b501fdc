import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.OpResult;
import org.apache.zookeeper.WatchedEvent;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.admin.ZooKeeperAdmin;
import org.apache.zookeeper.data.ACL;
import org.apache.zookeeper.data.Id;
import org.apache.zookeeper.data.Stat;

/**
 * Makes Apache's Java client send every request once, in an order that capture.py knows, and
 * prints what only chance decides (ids, times, zxids) as the client tells it: "name value".
 */
public class Drive {
    private static final LinkedBlockingQueue<KeeperState> states = new LinkedBlockingQueue<>();

    private static void fact(String name, Object value) {
        System.out.println(name + " " + value);
    }

    private static String hex(byte[] bytes) {
        StringBuilder out = new StringBuilder();
        for (byte b : bytes) {
            out.append(String.format("%02x", b));
        }
        return out.toString();
    }

    private static void awaitConnected() throws Exception {
        KeeperState state;
        do {
            state = states.poll(30, TimeUnit.SECONDS);
            if (state == null) {
                throw new IllegalStateException("not connected within 30 seconds");
            }
        } while (state != KeeperState.SyncConnected);
    }

    private static void onSession(WatchedEvent event) {
        if (event.getType() == Watcher.Event.EventType.None) {
            states.add(event.getState());
        }
    }

    /** capture.py cuts the connection when it sees this path. */
    private static void cut(ZooKeeperAdmin zk) throws Exception {
        states.clear();
        try {
            zk.exists("/cut", false);
        } catch (KeeperException.ConnectionLossException expected) {
            // The answer may or may not have come through.
        }
        awaitConnected();
        zk.exists("/golden", false);
    }

    public static void main(String[] args) throws Exception {
        ZooKeeperAdmin zk = new ZooKeeperAdmin(args[0], 10_000, Drive::onSession);
        awaitConnected();
        fact("session_id", zk.getSessionId());
        fact("session_password", hex(zk.getSessionPasswd()));
        byte[] hi = "hi".getBytes(StandardCharsets.UTF_8);
        List<ACL> open = Ids.OPEN_ACL_UNSAFE;

        zk.addAuthInfo("digest", "g\u00f6l:pw".getBytes(StandardCharsets.UTF_8));
        zk.create("/golden", hi, open, CreateMode.PERSISTENT);
        fact("stat_create", zk.exists("/golden", false));
        Stat stat = new Stat();
        zk.create("/golden/two", null, open, CreateMode.PERSISTENT_SEQUENTIAL, stat);
        fact("stat_create2", stat);
        zk.create("/golden/container", new byte[0], open, CreateMode.CONTAINER, stat);
        fact("stat_create_container", stat);
        zk.create("/golden/ttl", hi, open, CreateMode.PERSISTENT_WITH_TTL, stat, 3_600_000);
        fact("stat_create_ttl", stat);
        zk.create("/golden/ephemeral", hi, open, CreateMode.EPHEMERAL);
        fact("stat_ephemeral", zk.exists("/golden/ephemeral", false));

        List<ACL> acl = new ArrayList<>(Ids.CREATOR_ALL_ACL);
        acl.add(new ACL(1, new Id("ip", "127.0.0.1/32")));
        fact("stat_set_acl", zk.setACL("/golden/two0000000000", acl, 0));
        zk.getACL("/golden/two0000000000", stat);
        fact("stat_get_acl", stat);
        fact("stat_set_data", zk.setData("/golden", "h\u00e9!".getBytes(StandardCharsets.UTF_8), 0));
        zk.getData("/golden", false, stat);
        fact("stat_get_data", stat);
        zk.getChildren("/golden", false);
        zk.getChildren("/golden", false, stat);
        fact("stat_children2", stat);
        zk.getAllChildrenNumber("/golden");
        zk.getEphemerals("/golden");
        zk.sync("/golden", (rc, path, context) -> { }, null);
        zk.whoAmI();
        try {
            zk.getData("/missing", false, null);
            throw new IllegalStateException("/missing is there");
        } catch (KeeperException.NoNodeException expected) {
            // An answer with an error number.
        }
        try {
            zk.delete("/golden", 99);
            throw new IllegalStateException("/golden has version 99");
        } catch (KeeperException.BadVersionException expected) {
            // A transaction that failed.
        }

        List<OpResult> results = zk.multi(Arrays.asList(
            Op.create("/golden/m", hi, open, CreateMode.PERSISTENT),
            Op.create("/golden/mc", hi, open, CreateMode.CONTAINER),
            Op.create("/golden/mt", hi, open, CreateMode.PERSISTENT_WITH_TTL, 3_600_000),
            Op.setData("/golden/m", null, 0),
            Op.check("/golden/m", 1),
            Op.delete("/golden/m", 1)));
        fact("stat_multi_create2", ((OpResult.CreateResult) results.get(1)).getStat());
        fact("stat_multi_create_ttl", ((OpResult.CreateResult) results.get(2)).getStat());
        fact("stat_multi_set_data", ((OpResult.SetDataResult) results.get(3)).getStat());
        try {
            zk.multi(Arrays.asList(
                Op.setData("/golden", hi, -1),
                Op.check("/golden", 77),
                Op.delete("/golden/mc", -1)));
            throw new IllegalStateException("/golden has version 77");
        } catch (KeeperException.BadVersionException expected) {
            // A multi that failed.
        }
        results = zk.multi(Arrays.asList(
            Op.getData("/golden"), Op.getChildren("/golden/mc"), Op.getData("/missing")));
        fact("stat_multi_read", ((OpResult.GetDataResult) results.get(0)).getStat());

        try {
            zk.reconfigure("server.9=127.0.0.1:1:2;3", "7,8", null, -1, stat);
            throw new IllegalStateException("a standalone server has been reconfigured");
        } catch (KeeperException.UnimplementedException expected) {
            // The request is what we want.
        }

        Watcher watcher = event -> { };
        zk.getData("/golden", watcher, null);
        zk.exists("/golden/none", watcher);
        zk.getChildren("/golden", watcher);
        cut(zk);
        zk.addWatch("/golden/mc", watcher, AddWatchMode.PERSISTENT);
        zk.addWatch("/golden/mt", watcher, AddWatchMode.PERSISTENT_RECURSIVE);
        cut(zk);
        zk.setData("/golden", hi, -1);
        zk.removeWatches("/golden", watcher, Watcher.WatcherType.Children, false);
        zk.removeAllWatches("/golden/none", Watcher.WatcherType.Data, false);
        zk.delete("/golden/mc", -1);
        zk.close();
    }
}
