import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.retry.ExponentialBackoffRetry;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/**
 * Leader election: of several equal programs exactly one does the work that must be done once.
 *
 * <p>Each joins with an ephemeral sequential node; the lowest number leads. When the leader stops,
 * or dies and its session ends, the next number is told and leads. A program that loses its
 * connection is no longer sure that it leads, so the latch takes leadership from it at once.
 */
public class LeaderElection {
    public static void main(String[] args) throws Exception {
        List<CuratorFramework> clients = new ArrayList<>();
        List<LeaderLatch> programs = new ArrayList<>();
        for (String name : List.of("alpha", "beta", "gamma")) {
            CuratorFramework client =
                    CuratorFrameworkFactory.newClient(
                            System.getenv("ZK_HOSTPORT"), new ExponentialBackoffRetry(100, 5));
            client.start();
            client.createContainers("/examples/election");
            LeaderLatch latch = new LeaderLatch(client, "/examples/election", name);
            latch.start();
            clients.add(client);
            programs.add(latch);
            // A latch joins in the background. Who is known to have joined first leads first.
            while (latch.getParticipants().size() < programs.size()) {
                Thread.sleep(10);
            }
        }
        for (int turn = 0; turn < programs.size(); turn++) {
            LeaderLatch leader = programs.get(turn);
            if (!leader.await(15, TimeUnit.SECONDS)) {
                throw new AssertionError(leader.getId() + " should lead now");
            }
            for (LeaderLatch other : programs.subList(turn + 1, programs.size())) {
                if (other.hasLeadership()) {
                    throw new AssertionError("two leaders");
                }
            }
            System.out.println(leader.getId() + " leads");
            // The whole program goes, as it would in a crash: its session ends with it.
            clients.get(turn).close();
        }
    }
}
