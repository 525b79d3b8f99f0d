// Prints every change of the keys under a prefix, and goes on where it was when the connection is lost: node watch.mjs [PREFIX]
import { setTimeout as pause } from 'node:timers/promises';

const base = process.env.QUORATE ?? 'http://127.0.0.1:2379';
const prefix = process.argv[2] ?? '';

// Yields { id, event, data }. A "part" has no id: the event that follows completes it.
async function* events(cursor) {
  const answer = await fetch(`${base}/v1/watch?${new URLSearchParams({ prefix })}`, {
    headers: { Accept: 'text/event-stream', ...(cursor && { 'Last-Event-ID': cursor }) },
  });
  if (!answer.ok) throw new Error(await answer.text());
  let text = '';
  for await (const piece of answer.body.pipeThrough(new TextDecoderStream())) {
    const blocks = (text + piece).split('\n\n');
    text = blocks.pop();
    for (const block of blocks) {
      const fields = Object.fromEntries(block.split('\n').map(line => line.split(/: (.*)/s)));
      if (fields.event) yield fields;
    }
  }
}

let cursor;
for (;;) {
  try {
    // First comes what there is ("snapshot"); after a lost connection what was missed, or, when that is no longer kept, a "reset" with
    // what there is now. Nothing is skipped in silence.
    for await (const { id, event, data } of events(cursor)) {
      cursor = id ?? cursor;
      console.log(`${event}\t${data ?? ''}`);
    }
  } catch (error) {
    console.error(error.message);
  }
  await pause(1000);
}
