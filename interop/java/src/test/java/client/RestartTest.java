package client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.data.Stat;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.parallel.Isolated;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.List;

/** The server ends and starts again: data, sessions, ephemerals and watches are still there. */
@Isolated("it takes the server away from everybody")
class RestartTest extends Fixture {

    /** Sends words to whoever started the server; see interop/README.md. */
    private static void control(String... words) throws Exception {
        String[] where = System.getenv("ZK_CONTROL").split(":");
        try (Socket socket = new Socket(where[0], Integer.parseInt(where[1]))) {
            socket.setSoTimeout(60_000);
            var answers = new BufferedReader(new InputStreamReader(socket.getInputStream()));
            for (String word : words) {
                socket.getOutputStream().write((word + "\n").getBytes(StandardCharsets.US_ASCII));
                assertEquals("ok", answers.readLine(), word);
            }
        }
    }

    @Test
    void sessionSurvivesAStop() throws Exception {
        survives("stop", "start");
    }

    @Test
    void sessionSurvivesAKill() throws Exception {
        survives("kill", "start");
    }

    private void survives(String... words) throws Exception {
        long session = zk.getSessionId();
        String own = create(root + "/own", "own", CreateMode.EPHEMERAL);
        Stat stat = zk.setData(create(root + "/data", "1"), bytes("2"), 0);
        zk.delete(create(root + "/gone", ""), -1);
        create(root + "/s-", "", CreateMode.PERSISTENT_SEQUENTIAL);
        zk.setACL(root + "/s-0000000003", Ids.READ_ACL_UNSAFE, -1);
        Events events = new Events();
        Events recursive = new Events();
        zk.getData(root + "/data", events, null);
        zk.addWatch(root, recursive, AddWatchMode.PERSISTENT_RECURSIVE);
        told.forget();

        control(words);

        told.expect("Disconnected", "SyncConnected");
        assertEquals(session, zk.getSessionId());
        assertEquals(List.of(own), zk.getEphemerals());
        Stat after = new Stat();
        assertEquals("2", text(zk.getData(root + "/data", false, after)));
        assertEquals(stat, after);
        assertEquals(Ids.READ_ACL_UNSAFE, zk.getACL(root + "/s-0000000003", null));
        assertEquals(
                root + "/s-0000000004", create(root + "/s-", "", CreateMode.PERSISTENT_SEQUENTIAL));
        assertTrue(zk.setData(root + "/data", bytes("3"), 1).getMzxid() > stat.getMzxid());
        events.expect("Disconnected", "SyncConnected", "NodeDataChanged " + root + "/data");
        recursive.expect(
                "Disconnected",
                "SyncConnected",
                "NodeCreated " + root + "/s-0000000004",
                "NodeDataChanged " + root + "/data");
    }
}
