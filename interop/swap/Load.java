// A Curator client that writes until its stdin ends: java Load.java HOST:PORT,... PATH
// Prints "session ID", then the number of every acknowledged write, "lost" whenever Curator says that
// the session is lost, and "session ID" again at the end.
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.state.ConnectionState;
import org.apache.curator.retry.RetryForever;
import org.apache.zookeeper.KeeperException;

public class Load {
    public static void main(String[] args) throws Exception {
        CuratorFramework client =
                CuratorFrameworkFactory.newClient(args[0], 10_000, 10_000, new RetryForever(20));
        client.getConnectionStateListenable().addListener((c, state) -> {
            if (state == ConnectionState.LOST) {
                System.out.println("lost");
            }
        });
        client.start();
        client.create().forPath(args[1]);
        tellSession(client);
        AtomicBoolean ending = new AtomicBoolean();
        Thread watcher = new Thread(() -> {
            try {
                while (System.in.read() >= 0) {
                    continue;
                }
            } catch (java.io.IOException e) {
                System.err.println(e);
            }
            ending.set(true);
        });
        watcher.setDaemon(true);
        watcher.start();
        for (int number = 1; !ending.get(); number++) {
            try {
                client.create().forPath(args[1] + "/" + number);
            } catch (KeeperException.NodeExistsException e) {
                // A repetition of what was done before the connection was lost.
            }
            System.out.println(number);
            Thread.sleep(5);
        }
        tellSession(client);
        System.out.flush();
        client.close();
        System.exit(0);
    }

    static void tellSession(CuratorFramework client) throws Exception {
        System.out.println("session " + client.getZookeeperClient().getZooKeeper().getSessionId());
    }
}
