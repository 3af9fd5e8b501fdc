import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.recipes.nodes.GroupMember;
import org.apache.curator.retry.ExponentialBackoffRetry;

import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;

/**
 * Group service: programs join a group under a name, publish something about themselves and see the
 * same about the others.
 *
 * <p>GroupMember keeps the program's node alive (it makes it again should the session be lost) and
 * a cached view of the whole group, so a look at the members costs no request.
 */
public class GroupService {
    private final CuratorFramework client;
    private final GroupMember member;

    GroupService(String name, String role) {
        client =
                CuratorFrameworkFactory.newClient(
                        System.getenv("ZK_HOSTPORT"), new ExponentialBackoffRetry(100, 5));
        client.start();
        byte[] payload = role.getBytes(StandardCharsets.UTF_8);
        member = new GroupMember(client, "/examples/group", name, payload);
        member.start();
    }

    Map<String, String> members() {
        Map<String, String> roles = new TreeMap<>();
        member.getCurrentMembers()
                .forEach((name, role) -> roles.put(name, new String(role, StandardCharsets.UTF_8)));
        return roles;
    }

    void expect(Set<String> names) throws InterruptedException {
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(15);
        while (!members().keySet().equals(names)) {
            if (System.nanoTime() > deadline) {
                throw new AssertionError("expected " + names + ", saw " + members());
            }
            TimeUnit.MILLISECONDS.sleep(10);
        }
    }

    void leave() {
        member.close();
        client.close();
    }

    public static void main(String[] args) throws Exception {
        GroupService alpha = new GroupService("alpha", "reader");
        GroupService beta = new GroupService("beta", "writer");
        alpha.expect(Set.of("alpha", "beta"));
        beta.expect(Set.of("alpha", "beta"));
        System.out.println(alpha.members());
        if (!"writer".equals(alpha.members().get("beta"))) {
            throw new AssertionError("beta's role is not known to alpha");
        }
        beta.leave();
        alpha.expect(Set.of("alpha"));
        System.out.println(alpha.members());
        alpha.leave();
    }
}
