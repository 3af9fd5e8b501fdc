package client;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.admin.ZooKeeperAdmin;
import org.apache.zookeeper.data.Stat;
import org.junit.jupiter.api.Test;

/** A standalone server has no ensemble to change; it says so, to super as well. */
class ReconfigTest extends Fixture {

    @Test
    void reconfigIsRefused() throws Exception {
        Events events = new Events();
        ZooKeeperAdmin admin = new ZooKeeperAdmin(HOSTPORT, TIMEOUT_MS, events);
        track(admin);
        events.awaitState(KeeperState.SyncConnected);
        String joining = "server.2=127.0.0.1:2888:3888;2182";
        fails(Code.RECONFIGDISABLED, () -> admin.reconfigure(joining, null, null, -1, new Stat()));
        admin.addAuthInfo("digest", bytes("super:test"));
        fails(Code.RECONFIGDISABLED, () -> admin.reconfigure(joining, null, null, -1, new Stat()));
        fails(Code.RECONFIGDISABLED, () -> admin.reconfigure(null, "1", null, 0, new Stat()));
        assertEquals(CONFIG_IS_EMPTY, text(admin.getConfig(false, new Stat())).isEmpty());
    }
}
