package curator;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.apache.curator.framework.recipes.nodes.GroupMember;
import org.apache.curator.framework.recipes.nodes.PersistentNode;
import org.apache.curator.framework.recipes.nodes.PersistentTtlNode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.data.Stat;
import org.junit.jupiter.api.Test;

import java.util.Set;
import java.util.concurrent.TimeUnit;

/** Nodes that somebody keeps alive, and groups made of them. */
class MembersTest extends Fixture {
    private static final int LATE_S = 30;

    @Test
    void persistentNodeComesBackWhenDeleted() throws Exception {
        PersistentNode node =
                closing(new PersistentNode(one, CreateMode.EPHEMERAL, false, "/me", bytes("here")));
        node.start();
        assertTrue(node.waitForInitialCreate(LATE_S, TimeUnit.SECONDS));
        Stat first = two.checkExists().forPath("/me");
        assertNotEquals(0, first.getEphemeralOwner());
        two.delete().forPath("/me");
        eventually("back again", () -> two.checkExists().forPath("/me") != null);
        assertNotEquals(first.getCzxid(), two.checkExists().forPath("/me").getCzxid());
        node.setData(bytes("moved"));
        eventually("new data", () -> "moved".equals(text(two.getData().forPath("/me"))));
        node.close();
        assertNull(two.checkExists().forPath("/me"));
    }

    @Test
    void persistentTtlNodeGoesWithItsOwner() throws Exception {
        // Its owner renews it twice in that time, which it must not miss.
        PersistentTtlNode node = new PersistentTtlNode(one, "/ttl", 4000, bytes("x"));
        node.start();
        assertTrue(node.waitForInitialCreate(LATE_S, TimeUnit.SECONDS));
        assertNotNull(two.checkExists().forPath("/ttl"));
        node.close();
        eventually("gone", () -> two.checkExists().forPath("/ttl") == null);
    }

    @Test
    void groupKnowsItsMembers() throws Exception {
        GroupMember alice = closing(new GroupMember(one, "/group", "alice", bytes("a")));
        GroupMember bob = new GroupMember(two, "/group", "bob", bytes("b"));
        alice.start();
        bob.start();
        Set<String> both = Set.of("alice", "bob");
        eventually("both", () -> alice.getCurrentMembers().keySet().equals(both));
        eventually("both", () -> bob.getCurrentMembers().keySet().equals(both));
        assertEquals("b", text(alice.getCurrentMembers().get("bob")));
        bob.close();
        eventually("alone", () -> alice.getCurrentMembers().keySet().equals(Set.of("alice")));
    }
}
