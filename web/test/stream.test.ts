import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backoffMs, followEvents, type Effects, type LinkState } from '../src/lib/stream.ts';

/** Plays one answer a connection, and stops when they are used up. Records what was asked and shown. */
async function play(answers: (() => Response)[], livesMs = 0) {
  const abort = new AbortController();
  const log = { asked: [] as string[], states: [] as LinkState[], data: [] as string[], waits: [] as number[] };
  let nowMs = 0;
  const effects: Effects = {
    open: async (lastId) => {
      log.asked.push(lastId);
      nowMs += livesMs;
      return answers.shift()!();
    },
    sleep: async (ms) => {
      log.waits.push(ms);
      if (answers.length === 0) abort.abort();
    },
    random: () => 0.5,
    now: () => nowMs,
  };
  const handlers = { onMessage: (m: { data: string }) => log.data.push(m.data), onState: (s: LinkState) => log.states.push(s) };
  await followEvents(effects, handlers, abort.signal);
  return log;
}

const stream = (text: string) => () => new Response(text);
const status = (code: number) => () => new Response(null, { status: code });
const unreachable = () => {
  throw new TypeError('unreachable');
};

test('after a cut it goes on behind the last event it saw', async () => {
  const log = await play([stream('id: 7\ndata: a\n\nid: 8\ndata: half'), unreachable, stream('id: 9\ndata: b\n\n')]);
  assert.deepEqual(log.asked, ['', '8', '8']);
  assert.deepEqual(log.data, ['a', 'b']);
  assert.deepEqual(log.states, ['connecting', 'open', 'waiting', 'connecting', 'waiting', 'connecting', 'open', 'waiting', 'closed']);
});

test('a refused token ends it, any other failure does not', async () => {
  const log = await play([status(503), status(404), status(401), stream('data: never\n\n')]);
  assert.deepEqual(log.asked.length, 3);
  assert.equal(log.states.at(-1), 'denied');
});

test('waits grow while it fails and begin anew after a good stream', async () => {
  const failing = await play(Array.from({ length: 9 }, () => unreachable));
  assert.deepEqual(failing.waits, [375, 750, 1500, 3000, 6000, 11250, 11250, 11250, 11250]);
  const good = await play(Array.from({ length: 3 }, () => stream('data: x\n\n')), 10_000);
  assert.deepEqual(good.waits, [375, 375, 375]);
});

test('a wait is never nothing and never above its ceiling', () => {
  for (let attempt = 0; attempt < 2000; attempt += 3) {
    for (const random of [0, 0.3, 0.999]) {
      const ms = backoffMs(attempt, random);
      assert.ok(ms >= 250 && ms <= 15_000, `${attempt} ${random}: ${ms}`);
      assert.ok(backoffMs(attempt + 1, random) >= ms);
    }
  }
});
