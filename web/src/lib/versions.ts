// Each release keeps one of six colours, by its age in the fleet, wherever it is drawn. Colour is never the only sign: the
// version stands beside it.

import type { Release } from './model.ts';

export const VERSION_COLOURS = 6;

export function versionIndexes(releases: Release[]): Map<string, number> {
  const byAge = [...releases].sort((a, b) => (a.createdMs ?? 0) - (b.createdMs ?? 0) || a.digest.localeCompare(b.digest));
  return new Map(byAge.map((release, index) => [release.digest, index % VERSION_COLOURS]));
}

export function versionColour(indexes: Map<string, number>, digest: string | undefined): string {
  const index = digest === undefined ? undefined : indexes.get(digest);
  return index === undefined ? 'var(--soft)' : `var(--v${index})`;
}
