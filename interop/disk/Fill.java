// Makes a transaction of every type through Apache's own client: java Fill.java HOST:PORT ROUND
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.ZooDefs;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.data.ACL;
import org.apache.zookeeper.data.Id;
import org.apache.zookeeper.data.Stat;

public class Fill {
    static final List<ACL> OPEN = ZooDefs.Ids.OPEN_ACL_UNSAFE;

    public static void main(String[] args) throws Exception {
        String round = "/round" + args[1];
        ZooKeeper zk = connect(args[0]);
        zk.addAuthInfo("digest", "ben:secret".getBytes(StandardCharsets.UTF_8));
        zk.create(round, bytes("round"), OPEN, CreateMode.PERSISTENT);
        plain(zk, round);
        special(zk, round);
        multis(zk, round);
        quotas(zk, round);
        many(zk, round);
        zk.close();
        // A session that ends with ephemerals of its own, and one that is left behind.
        ZooKeeper closed = connect(args[0]);
        closed.create(round + "/ephemeral-closed", null, OPEN, CreateMode.EPHEMERAL);
        closed.create(round + "/ephemeral-seq-", null, OPEN, CreateMode.EPHEMERAL_SEQUENTIAL);
        closed.close();
        ZooKeeper left = connect(args[0]);
        left.create(round + "/ephemeral-left", bytes("x"), OPEN, CreateMode.EPHEMERAL);
        System.exit(0);
    }

    static void plain(ZooKeeper zk, String round) throws Exception {
        zk.create(round + "/data", bytes("hello"), OPEN, CreateMode.PERSISTENT);
        zk.create(round + "/null", null, OPEN, CreateMode.PERSISTENT);
        zk.create(round + "/empty", new byte[0], OPEN, CreateMode.PERSISTENT);
        zk.create(round + "/h\u00e9 \u4e2d", bytes("name"), OPEN, CreateMode.PERSISTENT);
        zk.create(round + "/large", new byte[700_000], OPEN, CreateMode.PERSISTENT);
        zk.create(round + "/create2", bytes("c2"), OPEN, CreateMode.PERSISTENT, new Stat());
        for (int i = 0; i < 3; i++) {
            zk.create(round + "/seq-", bytes("s" + i), OPEN, CreateMode.PERSISTENT_SEQUENTIAL);
        }
        zk.setData(round + "/data", bytes("changed"), -1);
        zk.setData(round + "/data", null, 1);
        zk.create(round + "/gone", null, OPEN, CreateMode.PERSISTENT);
        zk.delete(round + "/gone", 0);
        refuse(() -> zk.delete(round + "/nothing", -1));
        refuse(() -> zk.create(round + "/data", null, OPEN, CreateMode.PERSISTENT));
        refuse(() -> zk.setData(round + "/data", null, 77));
    }

    static void special(ZooKeeper zk, String round) throws Exception {
        zk.create(round + "/container", null, OPEN, CreateMode.CONTAINER);
        zk.create(round + "/container/child", null, OPEN, CreateMode.PERSISTENT);
        zk.create(round + "/used-container", null, OPEN, CreateMode.CONTAINER);
        zk.create(round + "/used-container/child", null, OPEN, CreateMode.PERSISTENT);
        zk.delete(round + "/used-container/child", -1);
        Stat stat = new Stat();
        zk.create(round + "/ttl", bytes("t"), OPEN, CreateMode.PERSISTENT_WITH_TTL, stat, 3_600_000);
        CreateMode mode = CreateMode.PERSISTENT_SEQUENTIAL_WITH_TTL;
        zk.create(round + "/ttl-seq-", bytes("t"), OPEN, mode, stat, 7_200_000);
        zk.create(round + "/acl", bytes("a"), ZooDefs.Ids.CREATOR_ALL_ACL, CreateMode.PERSISTENT);
        List<ACL> two = Arrays.asList(
            new ACL(ZooDefs.Perms.ALL, new Id("ip", "127.0.0.1")),
            new ACL(ZooDefs.Perms.READ, ZooDefs.Ids.ANYONE_ID_UNSAFE));
        zk.create(round + "/acl/two", bytes("2"), two, CreateMode.PERSISTENT);
        zk.setACL(round + "/acl", two, 0);
    }

    static void multis(ZooKeeper zk, String round) throws Exception {
        zk.multi(Arrays.asList(
            Op.create(round + "/multi", bytes("m"), OPEN, CreateMode.PERSISTENT),
            Op.create(round + "/multi/child", null, OPEN, CreateMode.PERSISTENT),
            Op.create(round + "/multi/ttl", null, OPEN, CreateMode.PERSISTENT_WITH_TTL, 9_999_999),
            Op.create(round + "/multi/container", null, OPEN, CreateMode.CONTAINER),
            Op.check(round + "/multi", 0),
            Op.setData(round + "/multi", bytes("n"), 0),
            Op.delete(round + "/multi/child", 0)));
        refuse(() -> zk.multi(Arrays.asList(
            Op.create(round + "/never", null, OPEN, CreateMode.PERSISTENT),
            Op.check(round + "/multi", 5),
            Op.delete(round + "/data", -1))));
    }

    static void quotas(ZooKeeper zk, String round) throws Exception {
        String top = "/zookeeper/quota" + round;
        zk.create(round + "/q", bytes("12345"), OPEN, CreateMode.PERSISTENT);
        zk.create(top, null, OPEN, CreateMode.PERSISTENT);
        zk.create(top + "/q", null, OPEN, CreateMode.PERSISTENT);
        byte[] limits = bytes("count=100,bytes=10000");
        zk.create(top + "/q/zookeeper_limits", limits, OPEN, CreateMode.PERSISTENT);
        byte[] stats = bytes("count=0,bytes=0");
        zk.create(top + "/q/zookeeper_stats", stats, OPEN, CreateMode.PERSISTENT);
        zk.create(round + "/q/child", bytes("678"), OPEN, CreateMode.PERSISTENT);
        zk.setData(round + "/q/child", bytes("6789"), -1);
    }

    /** Enough for snapshots in between. */
    static void many(ZooKeeper zk, String round) throws Exception {
        zk.create(round + "/many", null, OPEN, CreateMode.PERSISTENT);
        CountDownLatch answered = new CountDownLatch(300);
        for (int i = 0; i < 300; i++) {
            String path = round + "/many/" + i;
            zk.create(path, bytes("data " + i), OPEN, CreateMode.PERSISTENT,
                (rc, p, ctx, name) -> answered.countDown(), null);
        }
        answered.await();
        List<Op> deletes = new ArrayList<>();
        for (int i = 0; i < 300; i += 3) {
            deletes.add(Op.delete(round + "/many/" + i, 0));
        }
        zk.multi(deletes);
    }

    interface Refused {
        void run() throws Exception;
    }

    static void refuse(Refused op) throws Exception {
        try {
            op.run();
        } catch (KeeperException expected) {
            return;
        }
        throw new IllegalStateException("not refused");
    }

    static ZooKeeper connect(String address) throws Exception {
        CountDownLatch connected = new CountDownLatch(1);
        ZooKeeper zk = new ZooKeeper(address, 500_000, event -> {
            if (event.getState() == KeeperState.SyncConnected) {
                connected.countDown();
            }
        });
        connected.await();
        return zk;
    }

    static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }
}
