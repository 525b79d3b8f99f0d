// The npm package etcd3 against a member at QUORATE: keys, transactions, leases, watching, locks, elections, software transactions.
// The package ships no tests of its own.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { after, test } from 'node:test';

// Node's packages are outside the clone: NODE_PACKAGES says where.
const { EtcdLockFailedError, Etcd3 } = createRequire(`${process.env.NODE_PACKAGES}/`)('etcd3');
const client = new Etcd3({ hosts: process.env.QUORATE });
after(() => client.close());

test('keys', async () => {
  await client.put('kv/a').value('1');
  await client.put('kv/b').value(Buffer.from([0, 255]));
  assert.equal(await client.get('kv/a').string(), '1');
  assert.deepEqual(await client.get('kv/b').buffer(), Buffer.from([0, 255]));
  assert.deepEqual(Object.keys(await client.getAll().prefix('kv/').sort('Key', 'Descend').strings()), ['kv/b', 'kv/a']);
  assert.equal(await client.getAll().prefix('kv/').count(), 2);
  assert.equal((await client.delete().prefix('kv/').exec()).deleted, '2');
  assert.equal(await client.get('kv/a').string(), null);
});

test('transactions', async () => {
  const take = value => client.if('txn/a', 'Create', '==', 0)
    .then(client.put('txn/a').value(value)).else(client.get('txn/a')).commit();
  assert.equal((await take('1')).succeeded, true);
  const second = await take('2');
  assert.equal(second.succeeded, false);
  assert.equal(second.responses[0].response_range.kvs[0].value.toString(), '1');
});

test('leases', async () => {
  const lease = client.lease(5, { autoKeepAlive: false });
  await lease.put('lease/a').value('x');
  assert.equal(await client.get('lease/a').string(), 'x');
  await lease.keepaliveOnce();
  await lease.revoke();
  assert.equal(await client.get('lease/a').string(), null);
});

test('watching', async () => {
  const watcher = await client.watch().prefix('watch/').withPreviousKV().create();
  const seen = [];
  watcher.on('put', (pair, previous) => seen.push([pair.value.toString(), previous?.value.toString()]));
  for (const value of ['1', '2', '3']) await client.put('watch/a').value(value);
  const deleted = once(watcher, 'delete');
  await client.delete().key('watch/a');
  await deleted;
  assert.deepEqual(seen, [['1', undefined], ['2', '1'], ['3', '2']]);
  await watcher.cancel();
});

test('locks', async () => {
  const first = await client.lock('lock').ttl(5).acquire();
  await assert.rejects(client.lock('lock').acquire(), EtcdLockFailedError);
  await first.release();
  assert.equal(await client.lock('lock').do(() => 'inside'), 'inside');
});

test('elections', async () => {
  const [one, other] = [client.election('election', 5), client.election('election', 5)];
  const elected = async (candidate, value) => {
    const campaign = candidate.campaign(value);
    await once(campaign, 'elected');
    return campaign;
  };
  const first = await elected(one, 'one');
  const observer = await other.observe();
  assert.equal(observer.leader() ?? (await once(observer, 'change'))[0], 'one');
  const second = elected(other, 'two');
  const changed = new Promise(resolve => observer.on('change', leader => leader === 'two' && resolve()));
  await first.resign();
  await changed;
  assert.equal(await one.leader(), 'two');
  await observer.cancel();
  await (await second).resign();
});

test('software transactions', async () => {
  await client.put('stm/n').value(0);
  const add = () => client.stm({ retries: 50 }).transact(async tx => {
    await tx.put('stm/n').value(await tx.get('stm/n').number() + 1);
  });
  await Promise.all(Array.from({ length: 8 }, add));
  assert.equal(await client.get('stm/n').number(), 8);
});
