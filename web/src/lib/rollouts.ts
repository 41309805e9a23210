// How far each robot of a rollout has come, judged from the robot itself, not from the rollout's own word.

import { formatCount, formatMs, formatScore, formatShare } from './format.ts';
import type { Gate, Robot, Rollout } from './model.ts';
import { isOpen } from './summary.ts';

export type Step = 'done' | 'moving' | 'waiting' | 'back' | 'untouched' | 'unknown';

const MOVING = new Set(['assigned', 'downloaded', 'verified', 'self_tested', 'probation']);
const BACK = new Set(['rolled_back', 'failed']);
const ROLLED_BACK = new Set(['rolling_back', 'rolled_back']);
const ENDED_EARLY = new Set(['rolling_back', 'rolled_back', 'stopped', 'aborted']);

/** `waveState` is the state of the wave that brought the robot in: in a rollout that ended early, later waves never moved. */
export function robotStep(rollout: Rollout, waveState: string, robot: Robot | undefined): Step {
  const digest = rollout.release?.digest;
  if (!robot || !digest) return 'unknown';
  if (robot.target?.digest === digest && BACK.has(robot.phase)) return 'back';
  if (robot.release?.digest === digest && robot.phase === 'committed') return 'done';
  if (robot.target?.digest === digest || robot.release?.digest === digest) return MOVING.has(robot.phase) ? 'moving' : 'waiting';
  if (waveState === 'pending') return ENDED_EARLY.has(rollout.state) ? 'untouched' : 'waiting';
  return ROLLED_BACK.has(rollout.state) ? 'back' : 'waiting';
}

const STEP_ORDER: Step[] = ['back', 'done', 'moving', 'waiting', 'untouched', 'unknown'];

/** How many robots are at each step, steps without any left out. */
export function countSteps(steps: Step[]): [Step, number][] {
  const counts = STEP_ORDER.map((step): [Step, number] => [step, steps.filter((other) => other === step).length]);
  return counts.filter(([, count]) => count > 0);
}

/** Cumulative waves name the earlier robots again: each robot belongs to the first wave that names it. */
export function newRobots(rollout: Rollout, wave: number): string[] {
  const before = new Set(rollout.waves.slice(0, wave).flatMap((earlier) => earlier.robots));
  return (rollout.waves[wave]?.robots ?? []).filter((id) => !before.has(id));
}

/** Open ones first, then the newest. */
export function orderRollouts(rollouts: Rollout[]): Rollout[] {
  return [...rollouts].sort((a, b) => Number(isOpen(b)) - Number(isOpen(a)) || (b.startedMs ?? 0) - (a.startedMs ?? 0));
}

/** Gates are named as in rollout.yaml or without its max_ and min_. */
export function gateKey(gate: Gate): string {
  return gate.name.replace(/^(max|min)_/, '');
}

export function isLowerLimit(gate: Gate): boolean {
  return /^min_/.test(gate.name) || ['accuracy', 'recall', 'precision', 'evidence', 'frames'].includes(gateKey(gate));
}

/** A share or score of nothing is unknown, whatever number stands for it. */
export function gateValue(gate: Gate): number | null {
  return gate.evidence === 0 && /share|accuracy|recall|precision|ratio|per_hour/.test(gate.name) ? null : gate.value;
}

/** Where value and limit lie on a bar of 0…1; null when either is unknown. */
export function gateBar(gate: Gate): { value: number; limit: number } | null {
  const value = gateValue(gate);
  if (value === null || gate.limit === null || value < 0 || gate.limit < 0) return null;
  const full = Math.max(value, gate.limit * 1.6) || 1;
  return { value: value / full, limit: gate.limit / full };
}

export function formatGateNumber(gate: Gate, value: number | null): string {
  if (/share|recall|precision/.test(gate.name)) return formatShare(value);
  if (/accuracy/.test(gate.name)) return formatScore(value);
  if (/_ms$/.test(gate.name)) return formatMs(value);
  return value === null || Number.isInteger(value) ? formatCount(value) : value.toPrecision(3);
}
