// How an event looks: report kinds arrive as "report.KIND".

import type { Tone } from './status.ts';

const LOOKS: Record<string, [Tone, string]> = {
  enrolled: ['busy', 'ok'],
  revoked: ['off', 'revoked'],
  quarantined: ['bad', 'revoked'],
  released: ['busy', 'ok'],
  release: ['busy', 'installing'],
  assigned: ['busy', 'moving'],
  rollout: ['busy', 'running'],
  wave: ['busy', 'running'],
  trust: ['busy', 'ok'],
  approval: ['busy', 'pass'],
  gate: ['warn', 'intervening'],
  incident: ['warn', 'intervening'],
  'report.started': ['unknown', 'running'],
  'report.assigned': ['unknown', 'moving'],
  'report.downloaded': ['unknown', 'moving'],
  'report.verified': ['unknown', 'pass'],
  'report.self_tested': ['unknown', 'pass'],
  'report.activated': ['busy', 'probation'],
  'report.committed': ['ok', 'ok'],
  'report.rolled_back': ['bad', 'rolled_back'],
  'report.failed': ['bad', 'failed'],
  'report.guard': ['warn', 'intervening'],
  'report.restarted': ['warn', 'late'],
  'report.operator': ['warn', 'intervening'],
  command: ['warn', 'intervening'],
};

export function eventLook(kind: string): [Tone, string] {
  return LOOKS[kind] ?? ['unknown', 'unproven'];
}

export function eventWord(kind: string): string {
  return kind.replace(/^report\./, '').replaceAll('_', ' ');
}
