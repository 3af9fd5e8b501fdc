// Command goclient carries out, with the Go client, what it reads as JSON, one request a line.
// kazoo_client.py beside it does the same with Kazoo; clients.py says what the words mean.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"time"

	"github.com/go-zookeeper/zk"
)

const patience = 8 * time.Second

type request struct {
	Do      string
	Path    string
	Data    string
	Flags   int32
	Version int32
	Parts   []request
}

type answer struct {
	Code    *int32   `json:"code"`
	Session int64    `json:"session"`
	Same    bool     `json:"same"`
	Path    string   `json:"path,omitempty"`
	Data    string   `json:"data,omitempty"`
	Stat    []int64  `json:"stat,omitempty"`
	Names   []string `json:"names,omitempty"`
	Paths   []string `json:"paths,omitempty"`
}

// Errors that say for certain that nothing was done.
var certain = map[error]int32{
	zk.ErrNoNode:     -101,
	zk.ErrBadVersion: -103,
	zk.ErrNodeExists: -110,
	zk.ErrNotEmpty:   -111,
}

type quiet struct{}

func (quiet) Printf(string, ...interface{}) {}

func code(err error) *int32 {
	var found int32
	if err == nil {
		return &found
	}
	for known, number := range certain {
		if errors.Is(err, known) {
			found = number
			return &found
		}
	}
	return nil
}

func numbers(stat *zk.Stat) []int64 {
	if stat == nil {
		return nil
	}
	return []int64{stat.Czxid, stat.Mzxid, stat.Ctime, stat.Mtime, int64(stat.Version),
		int64(stat.Cversion), int64(stat.Aversion), stat.EphemeralOwner, int64(stat.DataLength),
		int64(stat.NumChildren), stat.Pzxid}
}

func part(ask request) interface{} {
	switch ask.Do {
	case "create":
		return &zk.CreateRequest{Path: ask.Path, Data: []byte(ask.Data),
			Acl: zk.WorldACL(zk.PermAll), Flags: ask.Flags}
	case "delete":
		return &zk.DeleteRequest{Path: ask.Path, Version: ask.Version}
	case "set":
		return &zk.SetDataRequest{Path: ask.Path, Data: []byte(ask.Data), Version: ask.Version}
	case "check":
		return &zk.CheckVersionRequest{Path: ask.Path, Version: ask.Version}
	}
	panic("not a part of a multi: " + ask.Do)
}

func multi(conn *zk.Conn, asks []request, done *answer) error {
	parts := make([]interface{}, len(asks))
	for at, ask := range asks {
		parts[at] = part(ask)
	}
	results, err := conn.Multi(parts...)
	for _, result := range results {
		done.Paths = append(done.Paths, result.String)
		if err == nil && result.Error != nil {
			err = result.Error
		}
		if result.Stat != nil {
			done.Stat = numbers(result.Stat)
		}
	}
	return err
}

func carryOut(conn *zk.Conn, ask request) answer {
	var done answer
	var err error
	var stat *zk.Stat
	var data []byte
	before := conn.SessionID()
	switch ask.Do {
	case "create":
		done.Path, err = conn.Create(ask.Path, []byte(ask.Data), ask.Flags, zk.WorldACL(zk.PermAll))
	case "delete":
		err = conn.Delete(ask.Path, ask.Version)
	case "set":
		stat, err = conn.Set(ask.Path, []byte(ask.Data), ask.Version)
	case "get":
		data, stat, err = conn.Get(ask.Path)
	case "children":
		done.Names, stat, err = conn.Children(ask.Path)
	case "sync":
		done.Path, err = conn.Sync(ask.Path)
	case "multi":
		err = multi(conn, ask.Parts, &done)
	default:
		panic("no such request: " + ask.Do)
	}
	if stat != nil {
		done.Stat = numbers(stat)
	}
	done.Code, done.Data = code(err), string(data)
	done.Session = conn.SessionID()
	done.Same = before == done.Session
	return done
}

func main() {
	conn, events, err := zk.Connect(strings.Split(os.Args[1], ","), 6*time.Second,
		zk.WithLogger(quiet{}))
	if err != nil {
		panic(err)
	}
	go func() {
		for range events {
		}
	}()
	out := json.NewEncoder(os.Stdout)
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var ask request
		if err := json.Unmarshal(lines.Bytes(), &ask); err != nil {
			panic(err)
		}
		done := make(chan answer, 1)
		go func() { done <- carryOut(conn, ask) }()
		var found answer
		select {
		case found = <-done:
		case <-time.After(patience):
		}
		if err := out.Encode(found); err != nil {
			return
		}
	}
	conn.Close()
}
