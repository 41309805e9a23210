// Which lines the table of accuracy has: per release the fleet, and its sites where there are several; alarms and frames apart.

import type { Accuracy, Estimate, Release } from './model.ts';

export interface AccuracyRow {
  key: string;
  release: Release;
  site: string | null;
  of: 'alarms' | 'frames';
  open: number;
  precision: Estimate;
  recall: Estimate;
  falsePerHour: Estimate | null;
  /** Of the release's answers, whichever line comes first. */
  unlabelled: Accuracy['unlabelled'] | null;
}

function rowsOf(release: Release, group: Accuracy): AccuracyRow[] {
  const { alarms, frames, unlabelled } = group;
  const base = { release, site: group.site };
  const key = `${release.digest} ${group.site ?? ''}`;
  const rows: AccuracyRow[] = [];
  if (alarms.count || alarms.missed)
    rows.push({ ...base, ...alarms, key: `${key} alarms`, of: 'alarms', unlabelled });
  if (frames.audits || (!rows.length && unlabelled.accuracy !== null))
    rows.push({ ...base, ...frames, key: `${key} frames`, of: 'frames', falsePerHour: null, unlabelled: rows.length ? null : unlabelled });
  return rows;
}

export function accuracyRows(releases: Release[], known: Map<string, Accuracy[]>): AccuracyRow[] {
  const newest = [...releases].sort((a, b) => (b.createdMs ?? 0) - (a.createdMs ?? 0));
  return newest.flatMap((release) => {
    const groups = known.get(release.digest) ?? [];
    const sites = groups.filter((group) => group.site !== null);
    return groups.filter((group) => group.site === null || sites.length > 1).flatMap((group) => rowsOf(release, group));
  });
}
