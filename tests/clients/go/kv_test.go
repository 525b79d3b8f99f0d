// The Go client against a member at QUORATE: keys, transactions, leases, watching, maintenance, and the wrappers around them.
package clients

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/clientv3util"
	"go.etcd.io/etcd/client/v3/leasing"
	"go.etcd.io/etcd/client/v3/mirror"
	"go.etcd.io/etcd/client/v3/namespace"
	"go.etcd.io/etcd/client/v3/ordering"
)

func dial(t *testing.T) *clientv3.Client {
	t.Helper()
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{os.Getenv("QUORATE")}, DialTimeout: 5 * time.Second})
	must(t, err)
	t.Cleanup(func() { client.Close() })
	return client
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func within(t *testing.T, limit time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	return ctx
}

func equal[T comparable](t *testing.T, got, want T) {
	t.Helper()
	if got != want {
		t.Fatalf("got %v, expected %v", got, want)
	}
}

func TestKeys(t *testing.T) {
	client, ctx := dial(t), within(t, 20*time.Second)
	for i := range 10 {
		_, err := client.Put(ctx, fmt.Sprintf("kv/%d", i), strings.Repeat("x", i))
		must(t, err)
	}
	got, err := client.Get(ctx, "kv/", clientv3.WithPrefix(), clientv3.WithLimit(3),
		clientv3.WithSort(clientv3.SortByModRevision, clientv3.SortDescend))
	must(t, err)
	equal(t, got.Count, 10)
	equal(t, got.More, true)
	equal(t, string(got.Kvs[0].Key), "kv/9")
	got, err = client.Get(ctx, "kv/3", clientv3.WithFromKey(), clientv3.WithCountOnly(), clientv3.WithRange("kv/5"))
	must(t, err)
	equal(t, got.Count, 2)
	deleted, err := client.Delete(ctx, "kv/", clientv3.WithPrefix(), clientv3.WithPrevKV())
	must(t, err)
	equal(t, deleted.Deleted, 10)
	equal(t, len(deleted.PrevKvs), 10)
	_, err = client.Put(ctx, "", "x")
	equal(t, errors.Is(err, rpctypes.ErrEmptyKey), true)
	_, err = client.Get(ctx, "kv", clientv3.WithRev(1<<40))
	equal(t, errors.Is(err, rpctypes.ErrFutureRev), true)
	_, err = client.Put(ctx, "kv", strings.Repeat("x", 1600*1024))
	equal(t, errors.Is(err, rpctypes.ErrRequestTooLarge), true)
}

func TestTransactions(t *testing.T) {
	client, ctx := dial(t), within(t, 20*time.Second)
	put := func(value string) (*clientv3.TxnResponse, error) {
		return client.Txn(ctx).If(clientv3util.KeyMissing("txn/a")).
			Then(clientv3.OpPut("txn/a", value), clientv3.OpTxn(
				[]clientv3.Cmp{clientv3.Compare(clientv3.Value("txn/a"), "=", value)},
				[]clientv3.Op{clientv3.OpPut("txn/b", "seen")}, nil)).
			Else(clientv3.OpGet("txn/a")).Commit()
	}
	first, err := put("1")
	must(t, err)
	equal(t, first.Succeeded, true)
	second, err := put("2")
	must(t, err)
	equal(t, second.Succeeded, false)
	equal(t, string(second.Responses[0].GetResponseRange().Kvs[0].Value), "1")
	_, err = client.Txn(ctx).Then(clientv3.OpPut("txn/c", "1"), clientv3.OpPut("txn/c", "2")).Commit()
	equal(t, errors.Is(err, rpctypes.ErrDuplicateKey), true)
	many := make([]clientv3.Op, 129)
	for i := range many {
		many[i] = clientv3.OpPut(fmt.Sprint("txn/", i), "")
	}
	_, err = client.Txn(ctx).Then(many...).Commit()
	equal(t, errors.Is(err, rpctypes.ErrTooManyOps), true)
}

func TestLeases(t *testing.T) {
	client, ctx := dial(t), within(t, 20*time.Second)
	lease, err := client.Grant(ctx, 2)
	must(t, err)
	_, err = client.Put(ctx, "lease/a", "x", clientv3.WithLease(lease.ID))
	must(t, err)
	alive, err := client.KeepAlive(ctx, lease.ID)
	must(t, err)
	for range 3 {
		if kept := <-alive; kept == nil || kept.TTL != 2 {
			t.Fatal("the lease was not kept", kept)
		}
	}
	left, err := client.TimeToLive(ctx, lease.ID, clientv3.WithAttachedKeys())
	must(t, err)
	equal(t, string(left.Keys[0]), "lease/a")
	_, err = client.Revoke(ctx, lease.ID)
	must(t, err)
	got, err := client.Get(ctx, "lease/a")
	must(t, err)
	equal(t, len(got.Kvs), 0)
	for range alive {
	}
	_, err = client.KeepAliveOnce(ctx, lease.ID)
	equal(t, errors.Is(err, rpctypes.ErrLeaseNotFound), true)
	_, err = client.Put(ctx, "lease/b", "x", clientv3.WithLease(12345))
	equal(t, errors.Is(err, rpctypes.ErrLeaseNotFound), true)
}

func TestWatching(t *testing.T) {
	client, ctx := dial(t), clientv3.WithRequireLeader(within(t, 20*time.Second))
	first, err := client.Put(ctx, "watch/a", "0")
	must(t, err)
	events := client.Watch(ctx, "watch/", clientv3.WithPrefix(), clientv3.WithPrevKV(),
		clientv3.WithRev(first.Header.Revision), clientv3.WithCreatedNotify(), clientv3.WithFragment())
	equal(t, (<-events).Created, true)
	for i := 1; i < 100; i++ {
		_, err = client.Put(ctx, "watch/a", fmt.Sprint(i))
		must(t, err)
	}
	_, err = client.Delete(ctx, "watch/a")
	must(t, err)
	next := 0
	for answer := range events {
		must(t, answer.Err())
		for _, event := range answer.Events {
			if next == 100 {
				equal(t, event.Type, mvccpb.DELETE)
				equal(t, string(event.PrevKv.Value), "99")
				goto compacted
			}
			equal(t, string(event.Kv.Value), fmt.Sprint(next))
			next++
		}
	}
compacted:
	must(t, client.RequestProgress(ctx))
	for answer := range events {
		if answer.IsProgressNotify() {
			break
		}
	}
	now, err := client.Get(ctx, "watch/a")
	must(t, err)
	_, err = client.Compact(ctx, now.Header.Revision, clientv3.WithCompactPhysical())
	must(t, err)
	answer := <-client.Watch(ctx, "watch/a", clientv3.WithRev(first.Header.Revision))
	equal(t, errors.Is(answer.Err(), rpctypes.ErrCompacted), true)
	equal(t, answer.CompactRevision, now.Header.Revision)
}

func TestMaintenance(t *testing.T) {
	client, ctx := dial(t), within(t, 20*time.Second)
	endpoint := strings.TrimPrefix(os.Getenv("QUORATE"), "http://")
	status, err := client.Status(ctx, endpoint)
	must(t, err)
	equal(t, status.Leader, status.Header.MemberId)
	hash, err := client.HashKV(ctx, endpoint, 0)
	must(t, err)
	equal(t, hash.CompactRevision <= hash.Header.Revision, true)
	_, err = client.Defragment(ctx, endpoint)
	must(t, err)
	members, err := client.MemberList(ctx)
	must(t, err)
	equal(t, len(members.Members), 1)
	saved, err := client.Snapshot(ctx)
	must(t, err)
	size, err := io.Copy(io.Discard, saved)
	must(t, err)
	equal(t, size > 0, true)
}

// What the client's package wraps around a client: a namespace, an order of reads, a mirror, a cache of leased keys.
func TestWrappers(t *testing.T) {
	client, ctx := dial(t), within(t, 20*time.Second)
	inner := namespace.NewKV(ordering.NewKV(client.KV, func(clientv3.Op, clientv3.OpResponse, int64) error {
		return errors.New("a read went back in time")
	}), "wrapped/")
	watched := namespace.NewWatcher(client.Watcher, "wrapped/").Watch(ctx, "a")
	_, err := inner.Put(ctx, "a", "1")
	must(t, err)
	equal(t, string((<-watched).Events[0].Kv.Key), "a")

	base, failed := mirror.NewSyncer(client, "wrapped/", 0).SyncBase(ctx)
	copied := 0
	for answer := range base {
		copied += len(answer.Kvs)
	}
	must(t, <-failed)
	equal(t, copied, 1)

	leased, stop, err := leasing.NewKV(client, "leasing/")
	must(t, err)
	defer stop()
	for range 3 {
		got, err := leased.Get(ctx, "wrapped/a")
		must(t, err)
		equal(t, bytes.Equal(got.Kvs[0].Value, []byte("1")), true)
	}
}
