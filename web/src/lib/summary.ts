// The fleet in a few numbers. A sum over unknown values is unknown, not zero.

import type { Release, Robot, Rollout, Telemetry } from './model.ts';

export interface FleetSummary {
  robots: number;
  presence: Record<Robot['presence'], number>;
  assigned: number;
  onTarget: number;
  versions: { label: string; digest: string; robots: number }[];
  openRollouts: Rollout[];
  frames: number | null;
  lost: number | null;
  interventions: number | null;
  interventionShare: number | null;
  interventionKinds: [string, number][];
}

const CLOSED = new Set(['done', 'rolled_back', 'stopped', 'aborted']);

export function isOpen(rollout: Rollout): boolean {
  return rollout.endedMs === null && !CLOSED.has(rollout.state);
}

export function sumKnown(values: (number | null)[]): number | null {
  const known = values.filter((value): value is number => value !== null);
  return known.length === 0 ? null : known.reduce((a, b) => a + b, 0);
}

export function interventionCount(telemetry: Telemetry): number | null {
  return sumKnown(Object.values(telemetry.interventions));
}

export function interventionShare(telemetry: Telemetry): number | null {
  if (telemetry.interventionShare !== null) return telemetry.interventionShare;
  const count = interventionCount(telemetry);
  return count === null || !telemetry.frames ? null : count / telemetry.frames;
}

/** Two releases of the same version under different names must stay tellable apart. */
export function releaseLabel(release: { name: string; version: string; digest: string }, all: { name: string }[]): string {
  const names = new Set(all.map((other) => other.name));
  const version = release.version || release.digest.slice(7, 15);
  return names.size > 1 && release.name ? `${release.name} ${version}` : version;
}

function countVersions(robots: Robot[], releases: Release[]): FleetSummary['versions'] {
  const counts = new Map<string, { label: string; digest: string; robots: number }>();
  for (const { release } of robots) {
    if (!release) continue;
    const entry = counts.get(release.digest) ?? { label: releaseLabel(release, releases), digest: release.digest, robots: 0 };
    entry.robots++;
    counts.set(release.digest, entry);
  }
  return [...counts.values()].sort((a, b) => b.robots - a.robots || a.label.localeCompare(b.label));
}

function countKinds(releases: Release[]): [string, number][] {
  const sums = new Map<string, number>();
  for (const { telemetry } of releases) {
    for (const [kind, count] of Object.entries(telemetry.interventions)) sums.set(kind, (sums.get(kind) ?? 0) + count);
  }
  return [...sums].filter(([, count]) => count > 0).sort((a, b) => b[1] - a[1]);
}

export function summarise(robots: Robot[], releases: Release[], rollouts: Rollout[]): FleetSummary {
  const presence = { live: 0, late: 0, offline: 0, never: 0, unknown: 0 };
  for (const robot of robots) presence[robot.presence]++;
  const assigned = robots.filter((robot) => robot.target !== null);
  const frames = sumKnown(releases.map((release) => release.telemetry.frames));
  const interventions = sumKnown(releases.map((release) => interventionCount(release.telemetry)));
  return {
    robots: robots.length,
    presence,
    assigned: assigned.length,
    onTarget: assigned.filter((robot) => robot.release?.digest === robot.target?.digest).length,
    versions: countVersions(robots, releases),
    openRollouts: rollouts.filter(isOpen),
    frames,
    lost: sumKnown(releases.map((release) => release.telemetry.lost)),
    interventions,
    interventionShare: interventions === null || !frames ? null : interventions / frames,
    interventionKinds: countKinds(releases),
  };
}
