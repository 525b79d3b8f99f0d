// The Go client's concurrency package and its experimental recipes against a member at QUORATE.
package clients

import (
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	recipe "go.etcd.io/etcd/client/v3/experimental/recipes"
)

func session(t *testing.T, client *clientv3.Client) *concurrency.Session {
	t.Helper()
	session, err := concurrency.NewSession(client, concurrency.WithTTL(10))
	must(t, err)
	t.Cleanup(func() { session.Close() })
	return session
}

func TestMutex(t *testing.T) {
	client, ctx := dial(t), within(t, 30*time.Second)
	var inside atomic.Int32
	var all sync.WaitGroup
	last := int64(0)
	for range 8 {
		held := session(t, client)
		all.Add(1)
		go func() {
			defer all.Done()
			mutex := concurrency.NewMutex(held, "mutex")
			for range 5 {
				if err := mutex.Lock(ctx); err != nil {
					t.Error(err)
					return
				}
				if inside.Add(1) != 1 {
					t.Error("two hold the lock")
				}
				token := mutex.Header().Revision
				if token < last {
					t.Error("a token went back")
				}
				last = token
				inside.Add(-1)
				if err := mutex.Unlock(ctx); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	all.Wait()
	one, other := concurrency.NewMutex(session(t, client), "try"), concurrency.NewMutex(session(t, client), "try")
	must(t, one.TryLock(ctx))
	equal(t, other.TryLock(ctx), concurrency.ErrLocked)
	held, err := client.Txn(ctx).If(one.IsOwner()).Then(clientv3.OpPut("guarded", "1")).Commit()
	must(t, err)
	equal(t, held.Succeeded, true)
}

func TestElection(t *testing.T) {
	client, ctx := dial(t), within(t, 30*time.Second)
	first, second := concurrency.NewElection(session(t, client), "election"), concurrency.NewElection(session(t, client), "election")
	seen := second.Observe(ctx)
	must(t, first.Campaign(ctx, "one"))
	equal(t, string((<-seen).Kvs[0].Value), "one")
	must(t, first.Proclaim(ctx, "still one"))
	equal(t, string((<-seen).Kvs[0].Value), "still one")
	won := make(chan error, 1)
	go func() { won <- second.Campaign(ctx, "two") }()
	must(t, first.Resign(ctx))
	must(t, <-won)
	equal(t, string((<-seen).Kvs[0].Value), "two")
	leader, err := second.Leader(ctx)
	must(t, err)
	equal(t, string(leader.Kvs[0].Value), "two")
	must(t, second.Resign(ctx))
	_, err = second.Leader(ctx)
	equal(t, err, concurrency.ErrElectionNoLeader)
}

func TestSoftwareTransactions(t *testing.T) {
	client, ctx := dial(t), within(t, 30*time.Second)
	must(t, func() error { _, err := client.Put(ctx, "stm/n", "0"); return err }())
	var all sync.WaitGroup
	for range 8 {
		all.Add(1)
		go func() {
			defer all.Done()
			for range 5 {
				_, err := concurrency.NewSTM(client, func(stm concurrency.STM) error {
					n, err := strconv.Atoi(stm.Get("stm/n"))
					stm.Put("stm/n", strconv.Itoa(n+1))
					return err
				})
				if err != nil {
					t.Error(err)
				}
			}
		}()
	}
	all.Wait()
	got, err := client.Get(ctx, "stm/n")
	must(t, err)
	equal(t, string(got.Kvs[0].Value), "40")
}

func TestRecipes(t *testing.T) {
	client := dial(t)
	barrier := recipe.NewBarrier(client, "barrier")
	must(t, barrier.Hold())
	passed := make(chan error, 1)
	go func() { passed <- recipe.NewBarrier(client, "barrier").Wait() }()
	must(t, barrier.Release())
	must(t, <-passed)

	var all sync.WaitGroup
	var entered atomic.Int32
	for range 3 {
		held := session(t, client)
		all.Add(1)
		go func() {
			defer all.Done()
			double := recipe.NewDoubleBarrier(held, "double", 3)
			entered.Add(1)
			if err := double.Enter(); err != nil || entered.Load() != 3 {
				t.Error("entered before all had come", err)
			}
			if err := double.Leave(); err != nil {
				t.Error(err)
			}
		}()
	}
	all.Wait()

	lock := recipe.NewRWMutex(session(t, client), "rw")
	must(t, lock.RLock())
	must(t, recipe.NewRWMutex(session(t, client), "rw").RLock())
	must(t, lock.RUnlock())

	queue, ranked := recipe.NewQueue(client, "queue"), recipe.NewPriorityQueue(client, "ranked")
	for i := range 5 {
		must(t, queue.Enqueue(fmt.Sprint(i)))
		must(t, ranked.Enqueue(fmt.Sprint(i), uint16(9-i)))
	}
	for i := range 5 {
		item, err := queue.Dequeue()
		must(t, err)
		equal(t, item, fmt.Sprint(i))
		item, err = ranked.Dequeue()
		must(t, err)
		equal(t, item, fmt.Sprint(4-i))
	}
}
