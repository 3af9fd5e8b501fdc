package client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.StatsTrack;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.cli.DelQuotaCommand;
import org.apache.zookeeper.cli.ListQuotaCommand;
import org.apache.zookeeper.cli.SetQuotaCommand;
import org.junit.jupiter.api.Test;

import java.util.List;

/** Quotas, set and read by the client's own commands; the suite's server enforces them. */
class QuotaTest extends Fixture {

    private static StatsTrack limits(long count, long countHard, long bytes, long bytesHard) {
        StatsTrack track = new StatsTrack();
        track.setCount(count);
        track.setCountHardLimit(countHard);
        track.setBytes(bytes);
        track.setByteHardLimit(bytesHard);
        return track;
    }

    private String create(String name, int size) throws Exception {
        return zk.create(
                root + "/" + name, new byte[size], Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
    }

    private StatsTrack usage() throws Exception {
        return new StatsTrack(
                zk.getData("/zookeeper/quota" + root + "/zookeeper_stats", false, null));
    }

    @Test
    void hardCountIsAWall() throws Exception {
        assertTrue(SetQuotaCommand.createQuota(zk, root, limits(-1, 3, -1, -1)));
        create("a", 0);
        create("b", 0);
        fails(Code.QUOTAEXCEEDED, () -> create("c", 0));
        fails(
                Code.QUOTAEXCEEDED,
                () ->
                        zk.multi(
                                List.of(
                                        Op.create(
                                                root + "/c",
                                                null,
                                                Ids.OPEN_ACL_UNSAFE,
                                                CreateMode.PERSISTENT))));
        zk.delete(root + "/a", -1);
        create("c", 0);
        assertEquals(3, usage().getCount());
    }

    @Test
    void hardBytesAreAWall() throws Exception {
        SetQuotaCommand.createQuota(zk, root, limits(-1, -1, -1, 100));
        create("a", 60);
        fails(Code.QUOTAEXCEEDED, () -> create("b", 41));
        fails(Code.QUOTAEXCEEDED, () -> zk.setData(root + "/a", new byte[101], -1));
        fails(Code.QUOTAEXCEEDED, () -> zk.setData(root + "/a", new byte[101], 7));
        zk.setData(root + "/a", new byte[100], -1);
        assertEquals(100, usage().getBytes());
        zk.setData(root + "/a", null, -1);
        assertEquals(0, usage().getBytes());
        create("b", 100);
    }

    @Test
    void softLimitsOnlyWarn() throws Exception {
        SetQuotaCommand.createQuota(zk, root, limits(2, -1, 10, -1));
        create("a", 10);
        create("b", 10);
        create("c", 10);
        assertEquals(4, usage().getCount());
        assertEquals(30, usage().getBytes());
    }

    @Test
    void limitsAndUsageAreListed() throws Exception {
        create("a", 7);
        create("a/b", 5);
        SetQuotaCommand.createQuota(zk, root, limits(50, 100, 500, 1000));
        List<StatsTrack> listed = ListQuotaCommand.listQuota(zk, root);
        assertEquals(
                "count=50,bytes=500=;byteHardLimit=1000;countHardLimit=100",
                listed.get(0).toString());
        assertEquals("count=3,bytes=12", listed.get(1).toString());
        assertEquals(
                0, zk.exists("/zookeeper/quota" + root + "/zookeeper_stats", false).getVersion());
    }

    @Test
    void deletedQuotaNoLongerHolds() throws Exception {
        SetQuotaCommand.createQuota(zk, root, limits(-1, 1, -1, -1));
        fails(Code.QUOTAEXCEEDED, () -> create("a", 0));
        assertTrue(DelQuotaCommand.delQuota(zk, root, null));
        create("a", 0);
        fails(Code.NONODE, () -> ListQuotaCommand.listQuota(zk, root));
    }
}
