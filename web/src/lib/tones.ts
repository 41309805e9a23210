// The tone of each named state of a rollout, wave, gate and step. A name that is not here is unknown, never green.

import type { Tone } from './status.ts';

const TONES: Record<string, Tone> = {
  running: 'busy',
  paused: 'warn',
  rolling_back: 'bad',
  rolled_back: 'bad',
  stopped: 'bad',
  aborted: 'off',
  done: 'ok',
  pending: 'unknown',
  passed: 'ok',
  failed: 'bad',
  pass: 'ok',
  fail: 'bad',
  waiting: 'unknown',
  moving: 'busy',
  back: 'bad',
};

export function toneOf(state: string, stale = false): Tone {
  return stale ? 'unknown' : (TONES[state] ?? 'unknown');
}
