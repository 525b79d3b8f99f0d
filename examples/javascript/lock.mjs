// Runs a command while holding a lock, with its fencing token in LOCK_TOKEN: node lock.mjs NAME COMMAND...
import { spawn } from 'node:child_process';
import { once } from 'node:events';

const base = process.env.QUORATE ?? 'http://127.0.0.1:2379';

async function call(method, path, body) {
  const answer = await fetch(base + path, {
    method,
    headers: { 'Content-Type': 'application/json' },
    body: body && JSON.stringify(body),
    signal: AbortSignal.timeout(60_000),
  });
  const text = await answer.text();
  if (!answer.ok) throw Object.assign(new Error(text), { status: answer.status });
  return text && JSON.parse(text);
}

const [name, command, ...args] = process.argv.slice(2);
const session = await call('POST', '/v1/sessions', { ttl: '10s', name: 'example' });
let job;

// Signs of life. Three of them fit into a TTL; a session that is gone takes the lock with it, so whoever works on must stop.
const alive = setInterval(async () => {
  try {
    await call('POST', `/v1/sessions/${session.id}/keepalive`);
  } catch (error) {
    if (error.status !== 404) return;
    console.error('the lock is lost');
    clearInterval(alive);
    job?.kill();
  }
}, session.keepalive_interval_ms);

try {
  // A wait that ends keeps the place in the line, so asking again loses nothing.
  let claim;
  while ((claim = await call('PUT', `/v1/locks/${name}/claims/${session.id}`, { wait: '30s' })).state !== 'held') {
    console.error(`waiting in place ${claim.position}`);
  }
  job = spawn(command, args, { stdio: 'inherit', env: { ...process.env, LOCK_TOKEN: String(claim.token) } });
  [process.exitCode] = await once(job, 'exit');
} finally {
  clearInterval(alive);
  await call('DELETE', `/v1/sessions/${session.id}`); // The claim goes with it.
}
