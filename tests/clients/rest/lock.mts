// A client that openapi-typescript made of /openapi.json takes a lock, is told who holds it, and releases it.
import createClient from 'openapi-fetch';
import type { paths } from './api.js';

const client = createClient<paths>({ baseUrl: process.env['QUORATE']! });
const path = (session: string) => ({ name: 'typescript', session });

const opened = await client.POST('/v1/sessions', { body: { ttl: '10s', name: 'typescript' } });
if (!opened.data) throw new Error(JSON.stringify(opened.error));
const session = opened.data.id;

const claimed = await client.PUT('/v1/locks/{name}/claims/{session}', { params: { path: path(session) }, body: { wait: '5s' } });
// A claim can also be followed as a stream, which is text.
if (!claimed.data || typeof claimed.data === 'string' || claimed.data.state !== 'held') throw new Error(JSON.stringify(claimed));
const token: number = claimed.data.token;

const second = await client.PUT('/v1/locks/{name}/claims/{session}', {
  params: { path: path('new') }, body: { ttl: '10s', enqueue: false },
});
if (second.response.status !== 409) throw new Error(`the lock was given twice: ${JSON.stringify(second)}`);

const released = await client.DELETE('/v1/locks/{name}/claims/{session}', {
  params: { path: path(session), header: { 'If-Match': `"${token}"` } },
});
if (released.response.status !== 204) throw new Error(JSON.stringify(released.error));
console.log(`held with token ${token}`);
