import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SseParser, type SseMessage } from '../src/lib/sse.ts';

const STREAM =
  '\ufeff: hello\n\nid: 1\ndata: {"id":1}\n\nevent: robot\r\nid: 2\r\ndata:a\r\ndata: b\r\n\r\nretry: 3000\rdata\rid: 3\r\r' +
  'id: no\0good\ndata: ü€😀\n\n: tick\n\ndata: never ended';

function parse(chunks: string[]): { messages: SseMessage[]; lastId: string; retryMs: number | null } {
  const parser = new SseParser();
  const messages = chunks.flatMap((chunk) => parser.push(chunk));
  return { messages, lastId: parser.lastId, retryMs: parser.retryMs };
}

test('a stream is read as the standard says', () => {
  assert.deepEqual(parse([STREAM]), {
    messages: [
      { id: '1', type: 'message', data: '{"id":1}' },
      { id: '2', type: 'robot', data: 'a\nb' },
      { id: '3', type: 'message', data: '' },
      { id: '3', type: 'message', data: 'ü€😀' },
    ],
    lastId: '3',
    retryMs: 3000,
  });
});

test('where a chunk is cut makes no difference', () => {
  const whole = parse([STREAM]);
  for (let a = 0; a <= STREAM.length; a++) {
    for (let b = a; b <= STREAM.length; b += 7) {
      assert.deepEqual(parse([STREAM.slice(0, a), STREAM.slice(a, b), STREAM.slice(b)]), whole, `cut at ${a} and ${b}`);
    }
  }
  assert.deepEqual(parse([...STREAM]), whole);
});

test('an endless line and an endless event are refused', () => {
  const megabyte = 'x'.repeat(1 << 20);
  const parser = new SseParser();
  parser.push(megabyte);
  assert.throws(() => parser.push('x'), /endless line/);
  assert.throws(() => new SseParser().push(`data: ${megabyte}\ndata: ${megabyte}\n`), /endless event/);
});
