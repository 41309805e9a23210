// The wall in groups: by nothing, by state, by version, or by the value of a label.

import type { Robot } from './model.ts';
import { STATUS_ORDER, type Status } from './status.ts';
import { strings } from './strings.ts';

export interface Group {
  title: string;
  robots: Robot[];
}

const byName = new Intl.Collator('en', { numeric: true }).compare;

export function labelKeys(robots: Robot[]): string[] {
  return [...new Set(robots.flatMap((robot) => Object.keys(robot.labels)))].sort(byName);
}

export function matches(robot: Robot, status: Status | undefined, filter: string): boolean {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  const labels = Object.entries(robot.labels).map(([key, value]) => `${key}=${value}`);
  const text = [robot.id, robot.release?.version, robot.presence, robot.phase, status?.word, ...labels].join(' ').toLowerCase();
  return words.every((word) => text.includes(word));
}

function titleOf(robot: Robot, by: string, statuses: Map<string, Status>): string {
  if (by === 'status') return statuses.get(robot.id)?.word ?? strings.status.unknown;
  if (by === 'version') return robot.release?.version || strings.status.idle;
  if (by.startsWith('label:')) return robot.labels[by.slice(6)] || strings.wall.noLabel(by.slice(6));
  return '';
}

function urgency(group: Group, statuses: Map<string, Status>): number {
  const key = statuses.get(group.robots[0]!.id)?.key;
  return key ? STATUS_ORDER.indexOf(key) : STATUS_ORDER.length;
}

export function groupRobots(robots: Robot[], by: string, statuses: Map<string, Status>): Group[] {
  const groups = new Map<string, Robot[]>();
  for (const robot of [...robots].sort((a, b) => byName(a.id, b.id))) {
    const title = titleOf(robot, by, statuses);
    const members = groups.get(title);
    if (members) members.push(robot);
    else groups.set(title, [robot]);
  }
  const out = [...groups].map(([title, members]) => ({ title, robots: members }));
  const order = by === 'status' ? (a: Group, b: Group) => urgency(a, statuses) - urgency(b, statuses) : null;
  return out.sort(order ?? ((a, b) => byName(a.title, b.title)));
}
