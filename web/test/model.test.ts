import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as m from '../src/lib/model.ts';

const HOSTILE: unknown[] = [null, undefined, 0, -1, NaN, Infinity, '', 'x', true, [], [null], {}, { digest: 5 }, [[[]]], { frames: '7' }];
const READERS = [m.readRobot, m.readRobotDetail, m.readRelease, m.readRollout, m.readEvent, m.readIncident, m.readReleaseRef] as ((x: unknown) => unknown)[];

test('nothing the server may send throws', () => {
  const keys = ['id', 'digest', 'labels', 'release', 'telemetry', 'reports', 'waves', 'gates', 'score', 'interventions', 'budgets', 'signed_by'];
  for (const reader of READERS) {
    for (const a of HOSTILE) {
      reader(a);
      for (const key of keys) for (const b of HOSTILE) reader({ id: 'r1', digest: 'sha256:00', [key]: b, [`${key}2`]: a });
    }
  }
});

test('what is missing is unknown, not zero and not good', () => {
  const robot = m.readRobot({ id: 'r1', presence: 'excellent', frames: '7', latency_p99_ms: null })!;
  assert.equal(robot.presence, 'unknown');
  assert.equal(robot.phase, 'unknown');
  assert.deepEqual([robot.frames, robot.p99Ms, robot.interventionShare, robot.lastSeenMs], [null, null, null, null]);
  assert.equal(m.readRollout({ id: 3, gates: [{ name: 'g', verdict: 'fine' }] })!.gates[0]!.verdict, 'unknown');
});

test('an entry without its key is left out, an answer without its list is an error', () => {
  assert.deepEqual(m.readList({ robots: [{ id: 'a' }, {}, null, { id: 'b' }] }, 'robots', m.readRobot).map((r) => r.id), ['a', 'b']);
  assert.throws(() => m.readList({ error: {} }, 'robots', m.readRobot), /no list/);
});

test('the documents of docs/api.md are read whole', () => {
  const release = m.readRelease({
    digest: 'sha256:ab', name: 'detector', version: '2.0.0', size_bytes: 5, signed_by: ['k'], created_ms: 1, budgets: { latency_p99_ms: 30 },
    telemetry: { robots: 2, frames: 9, latency_p99_ms: 3.5, over_budget_share: 0.1, interventions: { deadline: 2 }, score: { frames: 4, f1: 0.9 } },
  })!;
  assert.equal(release.budgetP99Ms, 30);
  assert.deepEqual([release.telemetry.f1, release.telemetry.labelledFrames, release.telemetry.interventions.deadline], [0.9, 4, 2]);
  const detail = m.readRobotDetail({ id: 'r1', reports: [{ seq: 1, kind: 'committed' }], telemetry: [{ release: { digest: 'sha256:ab' }, frames: 3 }] })!;
  assert.equal(detail.telemetry[0]!.telemetry.frames, 3);
  assert.equal(detail.reports[0]!.kind, 'committed');
  assert.equal(m.readRollout({ id: 1, gates: [{ name: 'failures', evidence: 120 }] })!.gates[0]!.evidence, 120);
  const incident = m.readIncident({ id: 4, robot: 'r1', name: 'n', cause: 'estop', severity: 3, who: 'ann', time_ms: 5, bytes: 6 })!;
  assert.deepEqual([incident.id, incident.cause, incident.severity, incident.who, incident.timeMs], [4, 'estop', 3, 'ann', 5]);
  assert.equal(m.readIncident({ id: 'x', robot: 'r1' }), null);
  assert.equal(m.readNext({ next: 'r9' }), 'r9');
  assert.equal(m.readNext({ next: null }), null);
});
