import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as m from '../src/lib/model.ts';
import { formatValue, seriesData, seriesRange, shownSeries } from '../src/lib/series.ts';

const series = (fields: object) => m.readSeries({ name: 'muster.battery.charge', unit: '1', points: [[0, 0.5]], ...fields })!;

test('nothing that watchers may send throws, and what has no key is left out', () => {
  const hostile: unknown[] = [null, 0, NaN, '', 'x', true, [], [null], {}, [[[]]], { id: 1, name: 'n', decision: 7, robots: 4, points: [[1], ['a', 2], 3] }];
  for (const x of hostile) for (const read of [m.readDrift, m.readDecision, m.readSeries]) read(x);
  assert.equal(m.readDrift({ cause: 'sensor' }), null);
  assert.equal(m.readDecision({ who: 'guard' }), null);
  assert.equal(m.readSeries({ points: [] }), null);
  assert.deepEqual(series({ points: [[1, 2], [3, null], 'x', [4, 5]] }).points, [[1, 2], [4, 5]]);
});

test('a finding that was never closed is open', () => {
  assert.equal(m.readDrift({ id: 1, closed_ms: 0 })!.closedMs, null);
  assert.equal(m.readDrift({ id: 1, closed_ms: 5 })!.closedMs, 5);
});

test('a minute that is missing is a hole, whatever the order', () => {
  const [times, values] = seriesData(series({ points: [[240_000, 3], [0, 1], [60_000, 2]] }));
  assert.deepEqual(times, [0, 60, 120, 240]);
  assert.deepEqual(values, [1, 2, null, 3]);
  assert.deepEqual(seriesData(series({ points: [] })), [[], []]);
});

test('of a name there is one line: the whole, and the release that spoke last', () => {
  const one = (fields: object) => series({ name: 'muster.drift.log_e', attribute: 'muster.signal', word: 'all', ...fields });
  const shown = shownSeries([one({ word: 'luma', last_ms: 9 }), one({ release: 'old', last_ms: 1 }), one({ release: 'new', last_ms: 2 }), series({}), series({ name: 'muster.other' })]);
  assert.deepEqual(shown.map(({ name, release }) => [name, release]), [['muster.battery.charge', ''], ['muster.drift.log_e', 'new']]);
  assert.deepEqual(shownSeries([series({ points: [] })]), []);
});

test('numbers have their unit, and a share its whole axis', () => {
  assert.equal(formatValue(series({}), 0.5), '50 %');
  assert.equal(formatValue(series({ unit: 'Cel' }), 41.25), '41.3 °C');
  assert.equal(formatValue(series({ name: 'muster.drift.log_e' }), -0.26), '-0.3');
  assert.equal(formatValue(series({}), null), '–');
  assert.deepEqual(seriesRange(series({}), 0.2, 0.4), [0, 1]);
  const [low, high] = seriesRange(series({ unit: 'Cel' }), 40, 40);
  assert.ok(low < 40 && high > 40);
});
