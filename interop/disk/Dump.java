// Prints every znode with data, stat and ACL, sorted: java Dump.java HOST:PORT
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.TreeSet;
import java.util.concurrent.CountDownLatch;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.data.Stat;

public class Dump {
    public static void main(String[] args) throws Exception {
        CountDownLatch connected = new CountDownLatch(1);
        ZooKeeper zk = new ZooKeeper(args[0], 40_000, event -> {
            if (event.getState() == KeeperState.SyncConnected) {
                connected.countDown();
            }
        });
        connected.await();
        zk.addAuthInfo("digest", "ben:secret".getBytes(StandardCharsets.UTF_8));
        dump(zk, "/");
        zk.close();
        System.exit(0);
    }

    static void dump(ZooKeeper zk, String path) throws Exception {
        Stat s = new Stat();
        byte[] data = zk.getData(path, false, s);
        // Every server gives this one its own mtime when it starts.
        long mtime = path.equals("/zookeeper/config") ? 0 : s.getMtime();
        String hash = data == null ? "null" : data.length + ":" + Arrays.hashCode(data);
        System.out.printf("%s %s c%x m%x p%x %d %d v%d c%d a%d o%x l%d n%d %s%n", path, hash,
            s.getCzxid(), s.getMzxid(), s.getPzxid(), s.getCtime(), mtime, s.getVersion(),
            s.getCversion(), s.getAversion(), s.getEphemeralOwner(), s.getDataLength(),
            s.getNumChildren(), zk.getACL(path, new Stat()));
        for (String child : new TreeSet<>(zk.getChildren(path, false))) {
            dump(zk, path.equals("/") ? "/" + child : path + "/" + child);
        }
    }
}
