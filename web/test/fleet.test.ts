// What the page concludes from what it was told.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventLook } from '../src/lib/events.ts';
import { groupRobots, labelKeys, matches } from '../src/lib/groups.ts';
import { readRelease, readRobot, readRollout, type Robot } from '../src/lib/model.ts';
import { countSteps, gateBar, gateValue, isLowerLimit, newRobots, orderRollouts, robotStep } from '../src/lib/rollouts.ts';
import { robotStatus, STALLED_MS, STATUS_ORDER, type StatusContext } from '../src/lib/status.ts';
import { strings } from '../src/lib/strings.ts';
import { summarise } from '../src/lib/summary.ts';
import { toneOf } from '../src/lib/tones.ts';
import { isPlausibleToken, tokenFromHash } from '../src/lib/token.ts';
import { versionColour, versionIndexes } from '../src/lib/versions.ts';

const V1 = { digest: 'sha256:01', name: 'detector', version: '1.0.0' };
const V2 = { digest: 'sha256:02', name: 'detector', version: '2.0.0' };
const FINE: StatusContext = { stale: false, nowMs: 100_000, stillMs: 0, budgetP99Ms: 30, interventionLimit: 0.05 };

function robot(over: Record<string, unknown> = {}): Robot {
  const healthy = { id: 'r1', presence: 'live', phase: 'committed', release: V2, target: V2, frames: 90, latency_p99_ms: 20, intervention_share: 0.01 };
  return readRobot({ ...healthy, last_seen_ms: 99_000, ...over })!;
}

test('a robot is green only if nothing at all speaks against it', () => {
  assert.equal(robotStatus(robot(), FINE).tone, 'ok');
  const robots = [
    ...['late', 'offline', 'never', 'whatever', null].map((presence) => robot({ presence })),
    ...['idle', 'assigned', 'downloaded', 'verified', 'self_tested', 'probation', 'rolled_back', 'failed', 'new phase', null].map((phase) =>
      robot({ phase, ...(phase === 'idle' ? { release: null } : {}) }),
    ),
    robot({ frames: 0 }),
    robot({ frames: null }),
    robot({ release: null }),
    robot({ revoked: true }),
    robot({ latency_p99_ms: 30.1 }),
    robot({ intervention_share: 0.051 }),
  ];
  for (const one of robots) assert.notEqual(robotStatus(one, FINE).tone, 'ok', JSON.stringify(one));
  assert.notEqual(robotStatus(robot(), { ...FINE, stillMs: STALLED_MS }).tone, 'ok');
});

test('without fresh data every robot is unknown, only a revoked one stays revoked', () => {
  for (const one of [robot(), robot({ phase: 'failed' }), robot({ presence: 'late' })]) {
    assert.equal(robotStatus(one, { ...FINE, stale: true }).tone, 'unknown');
  }
  assert.equal(robotStatus(robot({ revoked: true }), { ...FINE, stale: true }).key, 'revoked');
});

test('a robot in quarantine is shown so, with the reason', () => {
  const quarantined = robot({ quarantined: { since_ms: 90_000, text: 'two agents live with its identity' } });
  assert.equal(robotStatus(quarantined, FINE).key, 'quarantined');
  assert.equal(robotStatus(quarantined, FINE).tone, 'bad');
  assert.match(robotStatus(quarantined, FINE).why, /two agents/);
  assert.equal(robotStatus(robot({ quarantined: null }), FINE).tone, 'ok');
});

test('the worst facet wins and says why', () => {
  assert.equal(robotStatus(robot({ phase: 'failed', presence: 'offline' }), FINE).key, 'offline');
  assert.equal(robotStatus(robot({ phase: 'failed', presence: 'late' }), FINE).key, 'failed');
  assert.match(robotStatus(robot({ presence: 'offline', last_seen_ms: 40_000 }), FINE).why, /1 min/);
  assert.match(robotStatus(robot({ intervention_share: 0.2 }), FINE).why, /20\.0 %.*5\.00 %/);
});

test('who is stopped is seen, and by whom; what was said before a silence is not shown as if it were so', () => {
  const guard = { state: 'safe_stop', since_ms: 90_000, who: 'alice', text: 'auto -> safe_stop: smoke' };
  const stopped = robotStatus(robot({ guard }), FINE);
  assert.equal(stopped.key, 'stopped');
  assert.equal(stopped.tone, 'bad');
  assert.match(stopped.why, /alice.*smoke/);
  for (const state of ['hold', 'override', 'service', 'forced']) assert.equal(robotStatus(robot({ guard: { state } }), FINE).key, 'held');
  for (const state of ['estop', 'ack_wait', 'gone']) assert.equal(robotStatus(robot({ guard: { state } }), FINE).key, 'stopped');
  for (const state of ['auto', '', 7]) assert.equal(robotStatus(robot({ guard: { state } }), FINE).key, 'ok');
  assert.equal(robotStatus(robot({ guard, presence: 'offline' }), FINE).key, 'offline');
  assert.equal(robotStatus(robot({ guard }), { ...FINE, stale: true }).tone, 'unknown');
});

test('every status has its word, its place in the order, and no state is green by chance', () => {
  assert.deepEqual([...STATUS_ORDER].sort(), Object.keys(strings.status).sort());
  assert.equal(toneOf('something new'), 'unknown');
  assert.equal(toneOf('passed', true), 'unknown');
  assert.equal(eventLook('something new')[0], 'unknown');
});

test('sums over the unknown are unknown', () => {
  const release = (telemetry: object) => readRelease({ ...V1, telemetry })!;
  const nothing = summarise([], [release({})], []);
  assert.deepEqual([nothing.frames, nothing.interventions, nothing.interventionShare], [null, null, null]);
  const some = summarise([robot(), robot({ id: 'r2', release: V1 })], [release({ frames: 10, interventions: { nan: 1, deadline: 2 } }), release({})], []);
  assert.deepEqual([some.frames, some.interventions, some.interventionShare, some.onTarget, some.assigned], [10, 3, 0.3, 1, 2]);
  assert.deepEqual(some.interventionKinds, [['deadline', 2], ['nan', 1]]);
});

test('every robot is counted once', () => {
  const robots = ['live', 'live', 'late', 'offline', 'never', '?'].map((presence, i) => robot({ id: `r${i}`, presence, release: i % 2 ? V1 : V2 }));
  const { presence, versions } = summarise(robots, [], []);
  assert.equal(Object.values(presence).reduce((a, b) => a + b), robots.length);
  assert.equal(versions.reduce((a, v) => a + v.robots, 0), robots.length);
});

const ROLLOUT = readRollout({
  id: 1, name: 'd', release: V2, state: 'running', started_ms: 5, ended_ms: null,
  waves: [{ name: 'canary', robots: ['r1'], state: 'passed' }, { name: 'all', robots: ['r1', 'r2', 'r3'], state: 'pending' }],
})!;

test('cumulative waves show each robot once', () => {
  assert.deepEqual([newRobots(ROLLOUT, 0), newRobots(ROLLOUT, 1), newRobots(ROLLOUT, 2)], [['r1'], ['r2', 'r3'], []]);
});

test('a robot of a rollout is done only when it committed that release', () => {
  assert.equal(robotStep(ROLLOUT, 'passed', robot()), 'done');
  assert.equal(robotStep(ROLLOUT, 'running', robot({ phase: 'probation' })), 'moving');
  assert.equal(robotStep(ROLLOUT, 'running', robot({ phase: 'rolled_back', release: V1 })), 'back');
  assert.equal(robotStep(ROLLOUT, 'pending', robot({ release: V1, target: V1 })), 'waiting');
  assert.equal(robotStep(ROLLOUT, 'running', undefined), 'unknown');
  const rolledBack = { ...ROLLOUT, state: 'rolled_back' };
  assert.equal(robotStep(rolledBack, 'failed', robot({ release: V1, target: V1 })), 'back');
  assert.equal(robotStep(rolledBack, 'pending', robot({ release: V1, target: V1 })), 'untouched');
  assert.deepEqual(countSteps(['done', 'back', 'done']), [['back', 1], ['done', 2]]);
});

test('open rollouts come first, then the newest', () => {
  const rollout = (id: number, state: string, started: number) => readRollout({ id, state, started_ms: started, ended_ms: state === 'done' ? 9 : null })!;
  const ordered = orderRollouts([rollout(1, 'done', 1), rollout(2, 'running', 2), rollout(3, 'done', 3), rollout(4, 'paused', 1)]);
  assert.deepEqual(ordered.map((r) => r.id), ['2', '4', '3', '1']);
});

test('a gate bar stays within its track for any numbers', () => {
  for (const value of [null, 0, 1e-9, 0.05, 1, 1e9]) {
    for (const limit of [null, 0, 0.05, 500]) {
      const bar = gateBar({ name: 'g', value, limit, low: null, high: null, evidence: 1, verdict: 'waiting' });
      assert.equal(bar === null, value === null || limit === null);
      if (bar) for (const part of [bar.value, bar.limit]) assert.ok(part >= 0 && part <= 1);
    }
  }
});

test('a gate without evidence has no value, and its side is known under either name', () => {
  const gate = { value: 0, limit: 0.05, low: null, high: null, evidence: 0, verdict: 'waiting' as const };
  for (const name of ['intervention_share', 'max_over_budget_share', 'accuracy']) assert.equal(gateValue({ ...gate, name }), null);
  assert.equal(gateValue({ ...gate, name: 'failures' }), 0);
  assert.equal(gateValue({ ...gate, name: 'accuracy', evidence: 1 }), 0);
  for (const name of ['accuracy', 'min_accuracy', 'recall', 'precision', 'evidence', 'min_frames']) assert.ok(isLowerLimit({ ...gate, name }), name);
  for (const name of ['failures', 'max_failures', 'intervention_share', 'false_alarms_per_hour', 'false_alarm_ratio']) assert.ok(!isLowerLimit({ ...gate, name }), name);
});

test('groups hold every robot once, in natural order; the filter wants every word', () => {
  const robots = ['r10', 'r2', 'r1'].map((id, i) => robot({ id, labels: i ? { site: 'north' } : {} }));
  const statuses = new Map(robots.map((one) => [one.id, robotStatus(one, FINE)]));
  assert.deepEqual(groupRobots(robots, 'none', statuses).map((g) => g.robots.map((r) => r.id)), [['r1', 'r2', 'r10']]);
  assert.deepEqual(labelKeys(robots), ['site']);
  for (const by of ['none', 'status', 'version', 'label:site', 'label:absent']) {
    assert.equal(groupRobots(robots, by, statuses).flatMap((g) => g.robots).length, 3);
  }
  assert.deepEqual(robots.filter((r) => matches(r, statuses.get(r.id), 'SITE=north r1')).map((r) => r.id), ['r1']);
});

test('a version keeps its colour when newer ones come', () => {
  const first = readRelease({ ...V1, created_ms: 1 })!;
  const second = readRelease({ ...V2, created_ms: 2 })!;
  const before = versionColour(versionIndexes([first]), V1.digest);
  assert.equal(versionColour(versionIndexes([second, first]), V1.digest), before);
  assert.equal(versionColour(versionIndexes([first]), 'sha256:99'), 'var(--soft)');
});

test('a token comes out of the fragment only if it is one', () => {
  assert.equal(tokenFromHash('#token=abcdefgh-1'), 'abcdefgh-1');
  assert.equal(tokenFromHash('#other=1&token=abcdefgh'), 'abcdefgh');
  for (const hash of ['', '#', '#token=', '#token=short', '#token=with%20space-in-it', '#robots']) assert.equal(tokenFromHash(hash), null, hash);
  assert.equal(isPlausibleToken('x'.repeat(513)), false);
  assert.equal(isPlausibleToken('line\r\nbreak: yes'), false);
});
