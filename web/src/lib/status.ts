// One robot in one word: its worst facet. The list is searched from the top, the first that applies is shown; nothing
// counts as healthy unless it is live, not moving, within its limits and has shown frames. Without fresh data every robot is
// unknown.

import { formatMs, formatShare, formatSpan } from './format.ts';
import type { Release, Robot } from './model.ts';
import { strings } from './strings.ts';

export type Tone = 'ok' | 'busy' | 'warn' | 'bad' | 'off' | 'unknown';
export type StatusKey =
  | 'revoked'
  | 'quarantined'
  | 'unknown'
  | 'never'
  | 'offline'
  | 'stopped'
  | 'held'
  | 'failed'
  | 'rolledBack'
  | 'late'
  | 'stalled'
  | 'intervening'
  | 'slow'
  | 'installing'
  | 'probation'
  | 'unproven'
  | 'idle'
  | 'ok';

export interface StatusContext {
  stale: boolean;
  nowMs: number;
  /** How long the robot's frame counter has stood still while we looked. */
  stillMs: number;
  budgetP99Ms: number | null;
  interventionLimit: number;
}

export interface Status {
  key: StatusKey;
  tone: Tone;
  word: string;
  why: string;
}

export const STALLED_MS = 45_000;
/** Used where no rollout names a limit of its own. */
export const DEFAULT_INTERVENTION_LIMIT = 0.05;

const INSTALLING = new Set(['assigned', 'downloaded', 'verified', 'self_tested']);

interface Rule {
  key: StatusKey;
  tone: Tone;
  applies(robot: Robot, cx: StatusContext): boolean;
  why?(robot: Robot, cx: StatusContext): string;
}

function lastSeen(robot: Robot, cx: StatusContext): string {
  return robot.lastSeenMs === null ? '' : strings.why.lastSeen(formatSpan(cx.nowMs - robot.lastSeenMs));
}

// A state that is not named here is the guard's own affair: it answers, or goes on by itself.
const STOPPED = new Set(['safe_stop', 'estop', 'ack_wait', 'gone']);
const HELD = new Set(['hold', 'forced', 'override', 'service']);

function guardWord(robot: Robot): string {
  const guard = robot.guard!;
  const word = strings.guard[guard.state] ?? guard.state;
  return `${word}${guard.who ? `, ${strings.why.by(guard.who)}` : ''}${guard.text ? ` (${guard.text})` : ''}`;
}

function phaseWord(robot: Robot): string {
  return robot.phaseText || (strings.phase[robot.phase] ?? robot.phase);
}

const RULES: Rule[] = [
  { key: 'revoked', tone: 'off', applies: (r) => r.revoked },
  { key: 'quarantined', tone: 'bad', applies: (r) => r.quarantine !== null, why: (r) => r.quarantine! },
  { key: 'unknown', tone: 'unknown', applies: (_, cx) => cx.stale, why: () => strings.why.stale },
  { key: 'unknown', tone: 'unknown', applies: (r) => r.presence === 'unknown' },
  { key: 'never', tone: 'unknown', applies: (r) => r.presence === 'never' },
  { key: 'offline', tone: 'off', applies: (r) => r.presence === 'offline', why: lastSeen },
  { key: 'stopped', tone: 'bad', applies: (r) => STOPPED.has(r.guard?.state ?? ''), why: guardWord },
  { key: 'held', tone: 'warn', applies: (r) => HELD.has(r.guard?.state ?? ''), why: guardWord },
  { key: 'failed', tone: 'bad', applies: (r) => r.phase === 'failed', why: (r) => r.phaseText },
  { key: 'rolledBack', tone: 'bad', applies: (r) => r.phase === 'rolled_back', why: (r) => r.phaseText },
  { key: 'late', tone: 'warn', applies: (r) => r.presence === 'late', why: lastSeen },
  { key: 'installing', tone: 'busy', applies: (r) => INSTALLING.has(r.phase), why: phaseWord },
  {
    key: 'stalled',
    tone: 'warn',
    applies: (r, cx) => r.release !== null && cx.stillMs >= STALLED_MS,
    why: (_, cx) => strings.why.still(formatSpan(cx.stillMs)),
  },
  {
    key: 'intervening',
    tone: 'warn',
    applies: (r, cx) => r.interventionShare !== null && r.interventionShare > cx.interventionLimit,
    why: (r, cx) => strings.why.interventions(formatShare(r.interventionShare), formatShare(cx.interventionLimit)),
  },
  {
    key: 'slow',
    tone: 'warn',
    applies: (r, cx) => r.p99Ms !== null && cx.budgetP99Ms !== null && r.p99Ms > cx.budgetP99Ms,
    why: (r, cx) => strings.why.slow(formatMs(r.p99Ms), formatMs(cx.budgetP99Ms)),
  },
  { key: 'probation', tone: 'busy', applies: (r) => r.phase === 'probation', why: (r) => r.phaseText },
  { key: 'idle', tone: 'unknown', applies: (r) => r.release === null },
  { key: 'unproven', tone: 'unknown', applies: (r) => !r.frames },
  { key: 'unknown', tone: 'unknown', applies: (r) => !(r.phase in strings.phase) || r.phase === 'unknown' },
  { key: 'ok', tone: 'ok', applies: () => true },
];

export function robotStatus(robot: Robot, cx: StatusContext): Status {
  const rule = RULES.find((candidate) => candidate.applies(robot, cx))!;
  return { key: rule.key, tone: rule.tone, word: strings.status[rule.key], why: rule.why?.(robot, cx) ?? '' };
}

/** For sorting and legends: 0 is what wants attention first. */
export const STATUS_ORDER: StatusKey[] = [
  'stopped',
  'held',
  'quarantined',
  'failed',
  'rolledBack',
  'stalled',
  'intervening',
  'slow',
  'late',
  'offline',
  'never',
  'unknown',
  'revoked',
  'installing',
  'probation',
  'unproven',
  'idle',
  'ok',
];

export function budgetOf(releases: Release[], robot: Robot): number | null {
  return releases.find((release) => release.digest === robot.release?.digest)?.budgetP99Ms ?? null;
}
