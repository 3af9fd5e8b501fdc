package client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooDefs.Perms;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.data.ACL;
import org.apache.zookeeper.data.Id;
import org.apache.zookeeper.data.Stat;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.TreeSet;
import java.util.stream.Collectors;

/** Who may do what: the schemes, the permission of each call, super, whoAmI, redaction. */
class AclTest extends Fixture {
    /** {@code ann:pw} as the digest scheme stores it. */
    private static final Id ANN = new Id("digest", "ann:RYbu6l5aZwqon8VWmkcGvezdzfc=");

    private static final Id ANYONE = Ids.ANYONE_ID_UNSAFE;

    /** Unlike {@code List.of}, this may be asked whether it contains null, as the client does. */
    private static List<ACL> list(ACL... entries) {
        return Arrays.asList(entries);
    }

    private static List<ACL> acl(int perms, Id id) {
        return list(new ACL(perms, id));
    }

    private ZooKeeper connectAs(String... identities) throws Exception {
        ZooKeeper client = connectAnother();
        for (String identity : identities) {
            client.addAuthInfo("digest", bytes(identity));
        }
        return client;
    }

    private String createWith(String name, List<ACL> acl) throws Exception {
        return zk.create(root + "/" + name, bytes(name), acl, CreateMode.PERSISTENT);
    }

    /** Every bit but {@code perm} is granted; exactly these calls must be refused. */
    private void refuses(int perm, Executable... calls) throws Exception {
        for (Executable call : calls) {
            fails(Code.NOAUTH, call);
        }
    }

    @Test
    void readIsNeededToRead() throws Exception {
        String path = createWith("n", acl(Perms.ALL & ~Perms.READ, ANYONE));
        refuses(
                Perms.READ,
                () -> zk.getData(path, false, null),
                () -> zk.exists(path, false),
                () -> zk.getChildren(path, false),
                () -> zk.getChildren(path, false, new Stat()),
                () -> zk.getAllChildrenNumber(path),
                () -> zk.multi(List.of(Op.check(path, -1))));
        assertNotNull(zk.getACL(path, null), "ADMIN may see the list");
        zk.setData(path, null, -1);
        zk.delete(zk.create(path + "/c", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT), -1);
        zk.setACL(path, Ids.OPEN_ACL_UNSAFE, -1);
    }

    @Test
    void writeIsNeededToSetData() throws Exception {
        String path = createWith("n", acl(Perms.ALL & ~Perms.WRITE, ANYONE));
        refuses(
                Perms.WRITE,
                () -> zk.setData(path, null, -1),
                () -> zk.setData(path, null, 9),
                () -> zk.multi(List.of(Op.setData(path, null, -1))));
        assertEquals("n", text(zk.getData(path, false, null)));
    }

    @Test
    void createAndDeleteAreAskedOfTheParent() throws Exception {
        String path = createWith("n", acl(Perms.ALL, ANYONE));
        create(path + "/old", "");
        zk.setACL(path, acl(Perms.ALL & ~Perms.CREATE & ~Perms.DELETE, ANYONE), -1);
        refuses(
                Perms.CREATE,
                () -> create(path + "/new", ""),
                () -> create(path + "/old", ""),
                () -> create(path + "/e", "", CreateMode.EPHEMERAL_SEQUENTIAL),
                () -> create(path + "/c", "", CreateMode.CONTAINER),
                () -> zk.delete(path + "/old", -1),
                () -> zk.delete(path + "/none", -1));
        zk.setACL(path, acl(Perms.ALL, ANYONE), -1);
        zk.setACL(path + "/old", acl(Perms.READ, ANYONE), -1);
        zk.delete(path + "/old", -1);
    }

    @Test
    void adminIsNeededToSetTheList() throws Exception {
        String path = createWith("n", acl(Perms.ALL & ~Perms.ADMIN, ANYONE));
        refuses(Perms.ADMIN, () -> zk.setACL(path, Ids.OPEN_ACL_UNSAFE, -1));
        assertEquals(acl(Perms.ALL & ~Perms.ADMIN, ANYONE), zk.getACL(path, new Stat()));
    }

    @Test
    void setAclCountsItsOwnVersion() throws Exception {
        String path = createWith("n", Ids.OPEN_ACL_UNSAFE);
        Stat before = zk.exists(path, false);
        Stat stat = zk.setACL(path, acl(Perms.ALL, ANYONE), 0);
        assertEquals(1, stat.getAversion());
        assertEquals(before.getMzxid(), stat.getMzxid());
        assertEquals(0, stat.getVersion());
        fails(Code.BADVERSION, () -> zk.setACL(path, Ids.OPEN_ACL_UNSAFE, 0));
        fails(Code.NONODE, () -> zk.setACL(path + "/no", Ids.OPEN_ACL_UNSAFE, -1));
        Stat read = new Stat();
        zk.getACL(path, read);
        assertEquals(stat, read);
    }

    @Test
    void badListsAreRefused() {
        List<List<ACL>> bad =
                List.of(
                        list(),
                        acl(Perms.ALL, new Id("nosuch", "x")),
                        acl(Perms.ALL, new Id("world", "someone")),
                        acl(Perms.ALL, new Id("digest", "nocolon")),
                        acl(Perms.ALL, new Id("ip", "300.1.1.1")),
                        acl(Perms.ALL, new Id("ip", "10.0.0.0/33")),
                        acl(Perms.ALL, new Id("super", "")),
                        Ids.CREATOR_ALL_ACL);
        for (List<ACL> list : bad) {
            fails(Code.INVALIDACL, () -> createWith("bad", list));
            fails(Code.INVALIDACL, () -> zk.setACL(root, list, -1));
        }
    }

    @Test
    void duplicatesAreDroppedAndOrderKept() throws Exception {
        ACL read = new ACL(Perms.READ, ANYONE);
        ACL ann = new ACL(Perms.ALL, ANN);
        String path = createWith("n", list(read, ann, read));
        assertEquals(
                List.of(read, new ACL(Perms.ALL, new Id("digest", "ann:x"))),
                zk.getACL(path, null));
    }

    @Test
    void digestOpensToItsOwnerOnly() throws Exception {
        String path = createWith("n", acl(Perms.ALL, ANN));
        fails(Code.NOAUTH, () -> zk.getData(path, false, null));
        fails(Code.NOAUTH, () -> connectAs("ann:other").getData(path, false, null));
        ZooKeeper ann = connectAs("bob:pw", "ann:pw");
        assertEquals("n", text(ann.getData(path, false, null)));
        assertEquals(acl(Perms.ALL, ANN), ann.getACL(path, null));
        fails(Code.NOAUTH, () -> zk.getACL(path, null));
    }

    @Test
    void digestsAreHiddenFromOthers() throws Exception {
        String path = createWith("n", list(new ACL(Perms.READ, ANYONE), new ACL(Perms.ALL, ANN)));
        assertEquals("ann:x", zk.getACL(path, null).get(1).getId().getId());
        assertEquals(ANN, connectAs("ann:pw").getACL(path, null).get(1).getId());
    }

    @Test
    void authSchemeBecomesEveryIdentityOfTheCreator() throws Exception {
        ZooKeeper both = connectAs("ann:pw", "bob:pw");
        String path = both.create(root + "/n", null, Ids.CREATOR_ALL_ACL, CreateMode.PERSISTENT);
        List<ACL> list = both.getACL(path, null);
        assertEquals(
                new TreeSet<>(List.of(ANN.getId(), "bob:ikIaKsbtGweaHnb/jKn7OHqbunM=")),
                list.stream()
                        .map(entry -> entry.getId().getId())
                        .collect(Collectors.toCollection(TreeSet::new)));
        list.forEach(entry -> assertEquals(Perms.ALL, entry.getPerms()));
        assertNotNull(connectAs("bob:pw").exists(path, false));
        fails(Code.NOAUTH, () -> zk.exists(path, false));
    }

    @Test
    void addressesAndNetworksMatch() throws Exception {
        for (String id : List.of("127.0.0.1", "127.0.0.0/8", "0.0.0.0/0")) {
            String path = createWith("n" + id.replace('/', '-'), acl(Perms.READ, new Id("ip", id)));
            assertNotNull(zk.getData(path, false, null), id);
        }
        for (String id : List.of("127.0.0.2", "10.0.0.0/8", "::1")) {
            String path = createWith("n" + id.replace('/', '-'), acl(Perms.READ, new Id("ip", id)));
            fails(Code.NOAUTH, () -> zk.getData(path, false, null));
        }
    }

    @Test
    void superMayDoEverything() throws Exception {
        String path = createWith("n", acl(Perms.READ, ANN));
        ZooKeeper root = connectAs("super:test");
        assertEquals("n", text(root.getData(path, false, null)));
        root.setData(path, bytes("s"), -1);
        assertEquals(ANN, root.getACL(path, null).get(0).getId());
        root.setACL(path, Ids.OPEN_ACL_UNSAFE, -1);
        assertEquals("s", text(zk.getData(path, false, null)));
        fails(Code.NOAUTH, () -> connectAs("super:wrong").setData("/zookeeper/config", null, -1));
    }

    @Test
    void whoAmINamesEveryIdentity() throws Exception {
        List<String> names = new ArrayList<>();
        connectAs("ann:pw", "super:test")
                .whoAmI()
                .forEach(info -> names.add(info.getAuthScheme() + ":" + info.getUser()));
        names.sort(null);
        assertEquals(List.of("digest:ann", "digest:super", "ip:127.0.0.1", "super:"), names);
        assertEquals(1, zk.whoAmI().size());
    }

    @Test
    void unknownSchemeFailsTheClientForGood() throws Exception {
        Events events = new Events();
        ZooKeeper client = connect(HOSTPORT, TIMEOUT_MS, events);
        client.addAuthInfo("nosuch", bytes("x"));
        events.awaitState(KeeperState.AuthFailed);
        fails(Code.AUTHFAILED, () -> client.exists(root, false));
    }

    @Test
    void watchTellsNobodyWhoMayNotRead() throws Exception {
        String path = createWith("n", Ids.OPEN_ACL_UNSAFE);
        Events events = new Events();
        zk.getData(path, events, null);
        ZooKeeper ann = connectAs("ann:pw");
        ann.setACL(path, acl(Perms.ALL, ANN), -1);
        ann.setData(path, null, -1);
        settle(zk);
        events.expectNothing();
        ann.setACL(path, Ids.OPEN_ACL_UNSAFE, -1);
        ann.setData(path, null, -1);
        settle(zk);
        events.expectNothing();
        assertTrue(zk.exists(path, false).getVersion() == 2);
    }
}
