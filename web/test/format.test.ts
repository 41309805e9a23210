import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as f from '../src/lib/format.ts';

test('unknown is never shown as a number', () => {
  for (const format of [f.formatCount, f.formatMs, f.formatShare, f.formatScore, f.formatBytes, f.formatSpan, f.formatClock]) {
    assert.equal(format(null), f.UNKNOWN, format.name);
    assert.notEqual(format(0), f.UNKNOWN, format.name);
  }
});

test('a share that is not nothing never reads as 0 %, one that is not all never as 100 %', () => {
  for (let exponent = 1; exponent < 18; exponent++) {
    const little = 10 ** -exponent;
    assert.notEqual(f.formatShare(little), f.formatShare(0));
    if (1 - little < 1) assert.notEqual(f.formatShare(1 - little), f.formatShare(1));
  }
  assert.deepEqual([0, 0.00004, 0.0523, 0.125, 0.9995, 1].map(f.formatShare), ['0.00 %', '< 0.01 %', '5.23 %', '12.5 %', '> 99.9 %', '100.0 %']);
});

test('counts, times, sizes and spans', () => {
  assert.deepEqual([0, 9999, 10_000, 25_400, 1.5e6, 2.345e9].map(f.formatCount), ['0', '9999', '10.0 k', '25.4 k', '1.50 M', '2.35 G']);
  assert.deepEqual([0.5, 9.25, 42.04, 512.4, 12_500].map(f.formatMs), ['0.50 ms', '9.25 ms', '42.0 ms', '512 ms', '12.5 s']);
  assert.deepEqual([0, 1023, 1024, 812_000, 5 * 2 ** 30].map(f.formatBytes), ['0 B', '1023 B', '1.00 KiB', '793 KiB', '5.00 GiB']);
  assert.deepEqual([-5, 0, 400, 42_000, 185_000, 7_200_000, 90_000_000].map(f.formatSpan), ['0 s', '0 s', '0 s', '42 s', '3 min 5 s', '2 h', '1 d 1 h']);
  assert.equal(f.shortDigest(`sha256:${'0123456789abcdef'.repeat(4)}`), '0123456789ab');
});
