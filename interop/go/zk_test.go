// Package interop drives a server with the Go client and checks what it answers.
package interop

import (
	"errors"
	"fmt"
	"net"
	"os"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
)

const patience = 20 * time.Second

var open = zk.WorldACL(zk.PermAll)

type quiet struct{}

func (quiet) Printf(string, ...interface{}) {}

// connect returns a client that has a session; it is closed after the test.
func connect(t *testing.T) *zk.Conn {
	t.Helper()
	conn, events, err := zk.Connect([]string{os.Getenv("ZK_HOSTPORT")}, 6*time.Second, zk.WithLogger(quiet{}))
	must(t, err)
	t.Cleanup(conn.Close)
	awaitSession(t, events)
	return conn
}

func awaitSession(t *testing.T, events <-chan zk.Event) {
	t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case event := <-events:
			if event.State == zk.StateHasSession {
				return
			}
		case <-deadline:
			t.Fatal("no session")
		}
	}
}

// fresh creates a node for the test to work under.
func fresh(t *testing.T, conn *zk.Conn) string {
	t.Helper()
	root, err := conn.Create("/go-"+t.Name()+"-", nil, zk.FlagSequence, open)
	must(t, err)
	return root
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func want(t *testing.T, expected, seen interface{}) {
	t.Helper()
	if !reflect.DeepEqual(expected, seen) {
		t.Fatalf("expected %v, saw %v", expected, seen)
	}
}

func fails(t *testing.T, expected, seen error) {
	t.Helper()
	if !errors.Is(seen, expected) {
		t.Fatalf("expected the error %q, saw %v", expected, seen)
	}
}

func heard(t *testing.T, events <-chan zk.Event, kind zk.EventType, path string) {
	t.Helper()
	select {
	case event := <-events:
		want(t, fmt.Sprint(kind, path, nil), fmt.Sprint(event.Type, event.Path, event.Err))
	case <-time.After(patience):
		t.Fatalf("no %v of %s", kind, path)
	}
}

func create(t *testing.T, conn *zk.Conn, path, data string, flags int32) string {
	t.Helper()
	name, err := conn.Create(path, []byte(data), flags, open)
	must(t, err)
	return name
}

func TestNodes(t *testing.T) {
	conn := connect(t)
	root := fresh(t, conn)
	a := create(t, conn, root+"/a", "one", 0)
	data, stat, err := conn.Get(a)
	must(t, err)
	want(t, "one", string(data))
	want(t, int32(3), stat.DataLength)
	want(t, stat.Czxid, stat.Mzxid)
	stat, err = conn.Set(a, []byte("two"), 0)
	must(t, err)
	want(t, int32(1), stat.Version)
	_, err = conn.Set(a, nil, 0)
	fails(t, zk.ErrBadVersion, err)
	_, err = conn.Create(a, nil, 0, open)
	fails(t, zk.ErrNodeExists, err)
	_, err = conn.Create(root+"/no/b", nil, 0, open)
	fails(t, zk.ErrNoNode, err)
	create(t, conn, a+"/b", "", 0)
	fails(t, zk.ErrNotEmpty, conn.Delete(a, -1))
	must(t, conn.Delete(a+"/b", 0))
	must(t, conn.Delete(a, 1))
	found, _, err := conn.Exists(a)
	must(t, err)
	want(t, false, found)
	path, err := conn.Sync(root)
	must(t, err)
	want(t, root, path)
}

func TestKindsOfNodes(t *testing.T) {
	conn := connect(t)
	root := fresh(t, conn)
	want(t, root+"/s0000000000", create(t, conn, root+"/s", "", zk.FlagSequence))
	own := create(t, conn, root+"/e", "", zk.FlagEphemeral)
	want(t, root+"/es0000000002", create(t, conn, root+"/es", "", zk.FlagEphemeralSequential))
	_, stat, err := conn.Exists(own)
	must(t, err)
	want(t, conn.SessionID(), stat.EphemeralOwner)
	_, err = conn.Create(own+"/child", nil, 0, open)
	fails(t, zk.ErrNoChildrenForEphemerals, err)
	_, err = conn.CreateContainer(root+"/c", nil, zk.FlagContainer, open)
	must(t, err)
	_, err = conn.CreateTTL(root+"/t", nil, zk.FlagTTL, open, time.Hour)
	must(t, err)
	name, err := conn.CreateTTL(root+"/ts", nil, zk.FlagPersistentSequentialWithTTL, open, time.Hour)
	must(t, err)
	want(t, root+"/ts0000000005", name)
	name, err = conn.CreateProtectedEphemeralSequential(root+"/p-", nil, open)
	must(t, err)
	want(t, "0000000006", name[len(name)-10:])
	children, stat, err := conn.Children(root)
	must(t, err)
	want(t, 7, len(children))
	want(t, int32(7), stat.NumChildren)
}

func TestEphemeralsEndWithTheirSession(t *testing.T) {
	conn, other := connect(t), connect(t)
	root := fresh(t, conn)
	create(t, other, root+"/own", "", zk.FlagEphemeral)
	found, _, events, err := conn.ExistsW(root + "/own")
	must(t, err)
	want(t, true, found)
	other.Close()
	heard(t, events, zk.EventNodeDeleted, root+"/own")
}

func TestWatches(t *testing.T) {
	conn, writer := connect(t), connect(t)
	root := fresh(t, conn)
	a := root + "/a"
	found, _, created, err := conn.ExistsW(a)
	must(t, err)
	want(t, false, found)
	_, _, children, err := conn.ChildrenW(root)
	must(t, err)
	create(t, writer, a, "1", 0)
	heard(t, created, zk.EventNodeCreated, a)
	heard(t, children, zk.EventNodeChildrenChanged, root)
	_, _, changed, err := conn.GetW(a)
	must(t, err)
	_, err = writer.Set(a, []byte("2"), -1)
	must(t, err)
	heard(t, changed, zk.EventNodeDataChanged, a)
	_, _, deleted, err := conn.GetW(a)
	must(t, err)
	must(t, writer.Delete(a, -1))
	heard(t, deleted, zk.EventNodeDeleted, a)
}

func TestMulti(t *testing.T) {
	conn := connect(t)
	root := fresh(t, conn)
	create(t, conn, root+"/old", "", 0)
	results, err := conn.Multi(
		&zk.CreateRequest{Path: root + "/new", Data: []byte("n"), Acl: open},
		&zk.SetDataRequest{Path: root + "/old", Data: []byte("o"), Version: 0},
		&zk.CheckVersionRequest{Path: root + "/old", Version: 1},
		&zk.DeleteRequest{Path: root + "/old", Version: 1},
	)
	must(t, err)
	want(t, 4, len(results))
	want(t, root+"/new", results[0].String)
	want(t, int32(1), results[1].Stat.Version)
	results, err = conn.Multi(
		&zk.CreateRequest{Path: root + "/never", Acl: open},
		&zk.DeleteRequest{Path: root + "/missing", Version: -1},
	)
	fails(t, zk.ErrNoNode, err)
	want(t, 2, len(results))
	fails(t, zk.ErrNoNode, results[1].Error)
	found, _, err := conn.Exists(root + "/never")
	must(t, err)
	want(t, false, found)
}

func TestLockAdmitsOneAtATime(t *testing.T) {
	conns := []*zk.Conn{connect(t), connect(t)}
	root := fresh(t, conns[0])
	var inside, turns int
	var guard sync.Mutex
	var all sync.WaitGroup
	for worker := 0; worker < 4; worker++ {
		all.Add(1)
		go func(conn *zk.Conn) {
			defer all.Done()
			for turn := 0; turn < 5; turn++ {
				lock := zk.NewLock(conn, root+"/lock", open)
				if err := lock.Lock(); err != nil {
					t.Error(err)
					return
				}
				guard.Lock()
				inside++
				turns++
				if inside != 1 {
					t.Errorf("%d hold the lock", inside)
				}
				inside--
				guard.Unlock()
				if err := lock.Unlock(); err != nil {
					t.Error(err)
				}
			}
		}(conns[worker%2])
	}
	all.Wait()
	want(t, 20, turns)
}

func TestACL(t *testing.T) {
	conn, ann := connect(t), connect(t)
	root := fresh(t, conn)
	must(t, ann.AddAuth("digest", []byte("ann:pw")))
	path, err := ann.Create(root+"/mine", []byte("m"), 0, zk.AuthACL(zk.PermAll))
	must(t, err)
	_, _, err = conn.Get(path)
	fails(t, zk.ErrNoAuth, err)
	acl, _, err := ann.GetACL(path)
	must(t, err)
	want(t, zk.DigestACL(zk.PermAll, "ann", "pw"), acl)
	stat, err := ann.SetACL(path, zk.WorldACL(zk.PermRead), 0)
	must(t, err)
	want(t, int32(1), stat.Aversion)
	data, _, err := conn.Get(path)
	must(t, err)
	want(t, "m", string(data))
	_, err = conn.Set(path, nil, -1)
	fails(t, zk.ErrNoAuth, err)
	_, err = conn.Create(root+"/bad", nil, 0, []zk.ACL{{Perms: zk.PermAll, Scheme: "nosuch", ID: "x"}})
	fails(t, zk.ErrInvalidACL, err)
	_, err = conn.IncrementalReconfig([]string{"server.2=127.0.0.1:1:2;3"}, nil, -1)
	fails(t, zk.ErrReconfigDisabled, err)
}

// TestSessionIsResumed breaks the connection under the client: same session, ephemerals kept,
// watches armed again, missed changes told.
func TestSessionIsResumed(t *testing.T) {
	var guard sync.Mutex
	var current net.Conn
	dialer := func(network, address string, timeout time.Duration) (net.Conn, error) {
		conn, err := net.DialTimeout(network, address, timeout)
		guard.Lock()
		defer guard.Unlock()
		current = conn
		return conn, err
	}
	roaming, events, err := zk.Connect([]string{os.Getenv("ZK_HOSTPORT")}, 6*time.Second,
		zk.WithDialer(dialer), zk.WithLogger(quiet{}))
	must(t, err)
	defer roaming.Close()
	awaitSession(t, events)
	writer := connect(t)
	root := fresh(t, writer)
	must(t, roaming.AddAuth("digest", []byte("ann:pw")))
	secret, err := roaming.Create(root+"/secret", nil, 0, zk.AuthACL(zk.PermAll))
	must(t, err)
	own := create(t, roaming, root+"/own", "", zk.FlagEphemeral)
	session := roaming.SessionID()
	_, _, created, err := roaming.ExistsW(root + "/later")
	must(t, err)
	guard.Lock()
	current.Close()
	guard.Unlock()
	awaitSession(t, events)
	want(t, session, roaming.SessionID())
	_, stat, err := writer.Exists(own)
	must(t, err)
	want(t, session, stat.EphemeralOwner)
	_, _, err = roaming.Get(secret)
	must(t, err)
	create(t, writer, root+"/later", "", 0)
	heard(t, created, zk.EventNodeCreated, root+"/later")
}

func TestFourLetterWords(t *testing.T) {
	servers := []string{os.Getenv("ZK_HOSTPORT")}
	conn := connect(t)
	want(t, []bool{true}, zk.FLWRuok(servers, patience))
	// Not FLWSrvr: it cannot read the date in the answer of a 3.9 server.
	// The line of the asking connection itself has no session: hence the second result is false.
	clients, _ := zk.FLWCons(servers, patience)
	listed := false
	for _, client := range clients[0].Clients {
		listed = listed || client.SessionID == conn.SessionID() && client.Timeout == 6000
	}
	want(t, true, listed)
}
