package client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.OpResult;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.data.Stat;
import org.junit.jupiter.api.Test;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;

/** Transactions and multi-reads: every kind of result, every failing position. */
class MultiTest extends Fixture {

    private Op createOp(String name, CreateMode mode) {
        return Op.create(root + "/" + name, bytes(name), Ids.OPEN_ACL_UNSAFE, mode);
    }

    private static List<Integer> codes(List<OpResult> results) {
        return results.stream()
                .map(result -> ((OpResult.ErrorResult) result).getErr())
                .collect(Collectors.toList());
    }

    @Test
    void everyOperationAnswersItsOwnResult() throws Exception {
        create(root + "/old", "old");
        create(root + "/gone", "");
        List<OpResult> results =
                zk.multi(
                        List.of(
                                createOp("new", CreateMode.PERSISTENT),
                                Op.setData(root + "/old", bytes("newer"), 0),
                                Op.check(root + "/old", 1),
                                Op.delete(root + "/gone", 0),
                                createOp("own", CreateMode.EPHEMERAL),
                                createOp("seq-", CreateMode.PERSISTENT_SEQUENTIAL),
                                createOp("container", CreateMode.CONTAINER),
                                Op.create(
                                        root + "/ttl",
                                        null,
                                        Ids.OPEN_ACL_UNSAFE,
                                        CreateMode.PERSISTENT_WITH_TTL,
                                        3_600_000)));
        assertEquals(8, results.size());
        assertEquals(
                root + "/new",
                assertInstanceOf(OpResult.CreateResult.class, results.get(0)).getPath());
        Stat set = assertInstanceOf(OpResult.SetDataResult.class, results.get(1)).getStat();
        assertEquals(1, set.getVersion());
        assertEquals(5, set.getDataLength());
        assertInstanceOf(OpResult.CheckResult.class, results.get(2));
        assertInstanceOf(OpResult.DeleteResult.class, results.get(3));
        Stat own = zk.exists(root + "/own", false);
        assertEquals(zk.getSessionId(), own.getEphemeralOwner());
        // new, own: numbers 2 and 3 after old and gone.
        assertEquals(root + "/seq-0000000004", ((OpResult.CreateResult) results.get(5)).getPath());
        OpResult.CreateResult container = (OpResult.CreateResult) results.get(6);
        assertEquals(root + "/container", container.getPath());
        assertEquals(0, container.getStat().getEphemeralOwner());
        OpResult.CreateResult ttl = (OpResult.CreateResult) results.get(7);
        assertEquals(0, ttl.getStat().getEphemeralOwner());
        assertEquals(own.getCzxid(), ttl.getStat().getCzxid(), "one transaction, one zxid");
        assertEquals(own.getCzxid(), set.getMzxid());
        assertNull(zk.exists(root + "/gone", false));
    }

    @Test
    void eachFailingPositionIsNamedAndNothingIsApplied() throws Exception {
        create(root + "/old", "old");
        Stat before = zk.exists(root, false);
        List<Op> good =
                List.of(
                        createOp("a", CreateMode.PERSISTENT),
                        Op.setData(root + "/old", bytes("x"), -1),
                        Op.check(root + "/old", -1),
                        createOp("b-", CreateMode.PERSISTENT_SEQUENTIAL),
                        Op.delete(root + "/old", -1));
        for (int at = 0; at <= good.size(); at++) {
            List<Op> ops = new ArrayList<>(good);
            ops.add(at, Op.check(root + "/nobody", -1));
            KeeperException failure = assertThrows(KeeperException.class, () -> zk.multi(ops));
            assertEquals(Code.NONODE, failure.code());
            List<Integer> expected = new ArrayList<>(Collections.nCopies(at, 0));
            expected.add(Code.NONODE.intValue());
            expected.addAll(
                    Collections.nCopies(good.size() - at, Code.RUNTIMEINCONSISTENCY.intValue()));
            assertEquals(expected, codes(failure.getResults()), "failing at " + at);
            assertEquals(before, zk.exists(root, false));
            assertEquals("old", text(zk.getData(root + "/old", false, null)));
        }
        assertEquals(
                root + "/b-0000000001",
                create(root + "/b-", "", CreateMode.PERSISTENT_SEQUENTIAL),
                "a failed transaction takes no sequence number");
    }

    @Test
    void eachReasonOfFailureHasItsCode() throws Exception {
        create(root + "/a", "");
        create(root + "/a/b", "");
        create(root + "/e", "", CreateMode.EPHEMERAL);
        List<Op> bad =
                List.of(
                        createOp("a", CreateMode.PERSISTENT),
                        createOp("no/parent", CreateMode.PERSISTENT),
                        createOp("e/child", CreateMode.PERSISTENT),
                        Op.create(root + "/acl", null, List.of(), CreateMode.PERSISTENT),
                        Op.delete(root + "/a", -1),
                        Op.delete(root + "/a/b", 7),
                        Op.setData(root + "/a", null, 7),
                        Op.check(root + "/a", 7),
                        Op.setData("/zookeeper/config", null, -1));
        List<Code> codes =
                List.of(
                        Code.NODEEXISTS,
                        Code.NONODE,
                        Code.NOCHILDRENFOREPHEMERALS,
                        Code.INVALIDACL,
                        Code.NOTEMPTY,
                        Code.BADVERSION,
                        Code.BADVERSION,
                        Code.BADVERSION,
                        Code.NOAUTH);
        for (int i = 0; i < bad.size(); i++) {
            Op op = bad.get(i);
            fails(codes.get(i), () -> zk.multi(List.of(createOp("x", CreateMode.PERSISTENT), op)));
            assertNull(zk.exists(root + "/x", false));
        }
    }

    @Test
    void laterOperationsSeeEarlierOnes() throws Exception {
        zk.multi(
                List.of(
                        createOp("p", CreateMode.PERSISTENT),
                        createOp("p/c", CreateMode.PERSISTENT),
                        Op.setData(root + "/p", bytes("v1"), 0),
                        Op.check(root + "/p", 1),
                        Op.delete(root + "/p/c", 0),
                        createOp("p/s-", CreateMode.PERSISTENT_SEQUENTIAL),
                        createOp("p/s-", CreateMode.PERSISTENT_SEQUENTIAL)));
        List<String> children = zk.getChildren(root + "/p", false);
        Collections.sort(children);
        assertEquals(List.of("s-0000000001", "s-0000000002"), children);
        Stat stat = zk.exists(root + "/p", false);
        assertEquals(1, stat.getVersion());
        assertEquals(4, stat.getCversion());
    }

    @Test
    void sameNodeTwiceFailsAsAWhole() {
        fails(
                Code.NODEEXISTS,
                () ->
                        zk.multi(
                                List.of(
                                        createOp("a", CreateMode.PERSISTENT),
                                        createOp("a", CreateMode.PERSISTENT))));
        fails(Code.NONODE, () -> zk.getData(root + "/a", false, null));
    }

    @Test
    void emptyTransactionIsFine() throws Exception {
        assertEquals(List.of(), zk.multi(List.of()));
    }

    @Test
    void transactionBuilderCommits() throws Exception {
        List<OpResult> results =
                zk.transaction()
                        .create(root + "/t", bytes("t"), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT)
                        .check(root + "/t", 0)
                        .setData(root + "/t", bytes("u"), 0)
                        .delete(root + "/t", 1)
                        .commit();
        assertEquals(4, results.size());
        assertNull(zk.exists(root + "/t", false));
    }

    @Test
    void asynchronousFailureCarriesTheResults() throws Exception {
        CompletableFuture<List<Integer>> answer = new CompletableFuture<>();
        zk.multi(
                List.of(
                        createOp("a", CreateMode.PERSISTENT),
                        Op.check(root + "/no", -1),
                        createOp("b", CreateMode.PERSISTENT)),
                (rc, path, context, results) -> {
                    List<Integer> all = new ArrayList<>(List.of(rc));
                    all.addAll(codes(results));
                    answer.complete(all);
                },
                null);
        assertEquals(List.of(-101, 0, -101, -2), answer.get(20, TimeUnit.SECONDS));
    }

    @Test
    void ephemeralsMadeInATransactionEndWithTheSession() throws Exception {
        var other = connectAnother();
        other.multi(List.of(createOp("mine", CreateMode.EPHEMERAL)));
        assertNotNull(zk.exists(root + "/mine", false));
        other.close();
        settle(zk);
        assertNull(zk.exists(root + "/mine", false));
    }

    @Test
    void multiReadAnswersEachByItself() throws Exception {
        create(root + "/a", "one");
        create(root + "/b", null);
        create(root + "/secret", "s");
        zk.setACL(
                root + "/secret",
                Ids.READ_ACL_UNSAFE.stream()
                        .map(
                                acl ->
                                        new org.apache.zookeeper.data.ACL(
                                                org.apache.zookeeper.ZooDefs.Perms.WRITE,
                                                acl.getId()))
                        .collect(Collectors.toList()),
                -1);
        List<OpResult> results =
                zk.multi(
                        List.of(
                                Op.getData(root + "/a"),
                                Op.getData(root + "/missing"),
                                Op.getChildren(root),
                                Op.getData(root + "/secret"),
                                Op.getData(root + "/b"),
                                Op.getChildren(root + "/missing")));
        OpResult.GetDataResult first = (OpResult.GetDataResult) results.get(0);
        assertEquals("one", text(first.getData()));
        assertEquals(zk.exists(root + "/a", false), first.getStat());
        assertEquals(-101, ((OpResult.ErrorResult) results.get(1)).getErr());
        List<String> children =
                new ArrayList<>(((OpResult.GetChildrenResult) results.get(2)).getChildren());
        Collections.sort(children);
        assertEquals(List.of("a", "b", "secret"), children);
        assertEquals(-102, ((OpResult.ErrorResult) results.get(3)).getErr());
        assertNull(((OpResult.GetDataResult) results.get(4)).getData());
        assertEquals(-101, ((OpResult.ErrorResult) results.get(5)).getErr());
        assertEquals(6, results.size());
    }
}
