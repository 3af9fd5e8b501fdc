// Command load puts closed load on etcd through its own Go client and reports as `oxkeeper bench
// --format json` does. Keys and values are as long as the paths and data there.
//
// A get is serializable: answered by the server that is asked, as ZooKeeper's reads are.
// With -linearizable it is agreed on first.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"math/rand"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

const root = "/oxkeeper-bench"

var (
	endpoints    = flag.String("endpoints", "127.0.0.1:2379", "host:port, separated by commas")
	operation    = flag.String("o", "get", "get, set, create, mixed (90 % get)")
	connections  = flag.Int("c", 32, "clients, each with a connection of its own")
	inFlight     = flag.Int("f", 16, "requests in flight on each")
	seconds      = flag.Float64("d", 5, "measured time")
	warmUp       = flag.Float64("warm-up", 1, "time before measuring")
	nodes        = flag.Int("nodes", 1000, "keys to choose from")
	size         = flag.Int("size", 100, "bytes of a value")
	linearizable = flag.Bool("linearizable", false, "gets are agreed on first")
)

func key(number int) string { return fmt.Sprintf("%s/n%012d", root, number) }

// A worker keeps one request going.
type worker struct {
	client    *clientv3.Client
	number    int
	random    *rand.Rand
	created   int
	latencies []int64
}

func (w *worker) ask(value string) error {
	ctx := context.Background()
	reading := *operation == "get" || *operation == "mixed" && w.random.Intn(100) < 90
	switch {
	case reading:
		options := []clientv3.OpOption{clientv3.WithSerializable()}
		if *linearizable {
			options = nil
		}
		_, err := w.client.Get(ctx, key(w.random.Intn(*nodes)), options...)
		return err
	case *operation == "create":
		w.created++
		name := fmt.Sprintf("%s/c/c%04d%08d", root, w.number, w.created)
		absent := clientv3.Compare(clientv3.CreateRevision(name), "=", 0)
		done, err := w.client.Txn(ctx).If(absent).Then(clientv3.OpPut(name, value)).Commit()
		if err == nil && !done.Succeeded {
			return fmt.Errorf("%s is there already", name)
		}
		return err
	default:
		_, err := w.client.Put(ctx, key(w.random.Intn(*nodes)), value)
		return err
	}
}

func (w *worker) run(value string, from, until time.Time) error {
	for sent := time.Now(); sent.Before(until); {
		if err := w.ask(value); err != nil {
			return err
		}
		now := time.Now()
		if now.After(from) && now.Before(until) {
			w.latencies = append(w.latencies, int64(now.Sub(sent)))
		}
		sent = now
	}
	return nil
}

func open() []*clientv3.Client {
	addresses := strings.Split(*endpoints, ",")
	var clients []*clientv3.Client
	for number := range *connections {
		client, err := clientv3.New(clientv3.Config{
			Endpoints:   []string{addresses[number%len(addresses)]},
			DialTimeout: 10 * time.Second,
			Logger:      zap.NewNop(),
		})
		if err != nil {
			log.Fatal(err)
		}
		clients = append(clients, client)
	}
	return clients
}

// report prints what all workers have measured, latencies in microseconds.
func report(latencies []int64) {
	slices.Sort(latencies)
	at := func(fraction float64) float64 {
		if len(latencies) == 0 {
			return 0
		}
		return float64(latencies[min(int(fraction*float64(len(latencies))), len(latencies)-1)]) / 1e3
	}
	told := map[string]any{
		"operation": *operation, "connections": *connections, "in_flight": *inFlight,
		"size": *size, "ops": len(latencies), "seconds": *seconds, "errors": map[string]int{},
		"ops_per_second": float64(len(latencies)) / *seconds,
		"all_us": map[string]float64{
			"p50": at(0.5), "p99": at(0.99), "p99.9": at(0.999), "max": at(1),
		},
	}
	if err := json.NewEncoder(os.Stdout).Encode(told); err != nil {
		log.Fatal(err)
	}
}

func main() {
	flag.Parse()
	clients := open()
	value := strings.Repeat("x", *size)
	for number := range *nodes {
		if _, err := clients[0].Put(context.Background(), key(number), value); err != nil {
			log.Fatal(err)
		}
	}
	start := time.Now()
	length := func(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
	from := start.Add(length(*warmUp))
	until := from.Add(length(*seconds))
	var workers []*worker
	var running sync.WaitGroup
	for number := range *connections * *inFlight {
		one := &worker{
			client: clients[number%*connections], number: number,
			random: rand.New(rand.NewSource(int64(number))),
		}
		workers = append(workers, one)
		running.Add(1)
		go func() {
			defer running.Done()
			if err := one.run(value, from, until); err != nil {
				log.Fatal(err)
			}
		}()
	}
	running.Wait()
	var all []int64
	for _, one := range workers {
		all = append(all, one.latencies...)
	}
	_, err := clients[0].Delete(context.Background(), root, clientv3.WithPrefix())
	if err != nil {
		log.Fatal(err)
	}
	report(all)
}
