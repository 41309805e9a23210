import assert from 'node:assert/strict';
import { test } from 'node:test';
import { History } from '../src/lib/history.ts';
import { Progress } from '../src/lib/progress.ts';
import { sparkPath } from '../src/lib/spark.ts';

function checkShape(history: History, capacity: number) {
  assert.ok(history.times.length <= capacity);
  history.times.slice(1).forEach((t, i) => assert.ok(t > history.times[i]!));
  for (const column of history.columns.values()) assert.equal(column.length, history.times.length);
}

test('columns always have one value a time, whatever comes, and old ones go', () => {
  const history = new History(20, 5);
  for (let step = 0; step < 500; step++) {
    const timeS = step * 2 + (step % 7 === 0 ? 30 * step : 0) - (step % 11);
    history.push(timeS, step % 3 === 0 ? { [`v${step >> 6}`]: step } : { a: step % 5 === 0 ? null : step });
    checkShape(history, 20);
  }
  assert.ok(history.columns.size <= 20);
});

test('a column that comes late has nulls before, a key that is missing a null', () => {
  const history = new History(10, 100);
  history.push(1, { a: 1 });
  history.push(2, { b: 2 });
  assert.deepEqual(history.column('a'), [1, null]);
  assert.deepEqual(history.column('b'), [null, 2]);
  assert.deepEqual(history.column('never'), [null, null]);
});

test('time without data is a hole, not a line', () => {
  const history = new History(10, 5);
  history.push(0, { a: 1 });
  history.push(60, { a: 2 });
  assert.deepEqual(history.column('a'), [1, null, 2]);
  assert.equal((sparkPath(history.times, history.column('a'), 2, 100, 10).match(/M/g) ?? []).length, 2);
});

test('a clock that jumps back adds nothing', () => {
  const history = new History(10, 5);
  history.push(10, { a: 1 });
  history.push(9, { a: 2 });
  assert.deepEqual(history.times, [10]);
});

test('a counter that stands still is told for how long, one that moves or is unknown is not', () => {
  const progress = new Progress();
  assert.deepEqual([[5, 0], [5, 10], [5, 30], [6, 40], [6, 45], [null, 90], [6, 95]].map(([v, t]) => progress.observe('r', v!, t!)), [0, 10, 30, 0, 5, 0, 0]);
  progress.forget();
  assert.equal(progress.observe('r', 6, 1000), 0);
});
