import assert from 'node:assert/strict';
import { test } from 'node:test';
import { accuracyRows } from '../src/lib/accuracy.ts';
import { seriesLines } from '../src/lib/drawing.ts';
import * as m from '../src/lib/model.ts';

const release = m.readRelease({ digest: 'sha256:1', name: 'fall', version: '1.0.0', created_ms: 1 })!;
const half = { value: 0.5, low: 0.1, high: 0.9, evidence: 4 };

function group(site: string | null, alarms: object, frames: object, accuracy: number | null = null): m.Accuracy {
  return m.readAccuracy({ site, alarms, frames, unlabelled: { accuracy, valid: true } })!;
}

test('a release of alarms has lines of alarms, one of frames has lines of frames', () => {
  const rows = accuracyRows([release], new Map([['sha256:1', [group(null, { count: 3, precision: half }, { audits: 2 }, 0.9)]]]));
  assert.deepEqual(rows.map((row) => row.of), ['alarms', 'frames']);
  assert.equal(rows[0]!.precision.low, 0.1);
  assert.equal(rows[0]!.unlabelled?.accuracy, 0.9);
  assert.equal(rows[1]!.unlabelled, null);
  assert.deepEqual(accuracyRows([release], new Map([['sha256:1', [group(null, {}, {})]]])), []);
  assert.equal(accuracyRows([release], new Map([['sha256:1', [group(null, {}, {}, 0.8)]]])).length, 1);
});

test('one site is the fleet, several stand below it', () => {
  const one = [group(null, { missed: 1 }, {}), group('north', { missed: 1 }, {})];
  const rows = (groups: m.Accuracy[]) => accuracyRows([release], new Map([['sha256:1', groups]])).map((row) => row.site);
  assert.deepEqual(rows(one), [null]);
  assert.deepEqual(rows([...one, group('south', { count: 1 }, {})]), [null, 'north', 'south']);
});

test('what is not known of accuracy stays unknown', () => {
  assert.equal(m.readAccuracy({ alarms: {} }), null);
  const read = group('north', { precision: { value: null, low: 'x' } }, {});
  assert.deepEqual(read.alarms.precision, { value: null, low: null, high: null, evidence: null });
  assert.equal(read.unlabelled.accuracy, null);
});

test('a review is read as foreign', () => {
  const review = m.readReviewDetail({ id: 4, detections: [[1, 0.5, 0, 1, 2, 3], [1, 'x', 0, 0, 0, 0], 7], values: [1, null], shape: [1, 6] })!;
  assert.deepEqual(review.boxes, [{ label: 1, score: 0.5, x0: 0, y0: 1, x1: 2, y1: 3 }]);
  assert.deepEqual([review.values, review.shape, review.verdict], [[1], [1, 6], 'unknown']);
  assert.equal(m.readReview({ robot: 'r1' }), null);
});

test('channels of a time series are lines in their own range', () => {
  const lines = seriesLines(Float32Array.from([0, 1, 2, 5, 5, 5]), [1, 2, 3]);
  assert.deepEqual(lines.map((line) => line.points), [[1, 0.5, 0], [0.5, 0.5, 0.5]]);
  assert.equal(seriesLines(Float32Array.from([1, NaN, 3]), [3]).length, 1);
  assert.deepEqual(seriesLines(Float32Array.from([1, NaN, 3]), [])[0]!.points, [1 - 1 / 3, 1, 0]);
});
