// The latency chart's lines and how uPlot draws them: p99 solid, p50 dashed, each budget once, dotted. A hole in the data stays
// a hole (spanGaps: false).

import type uPlot from 'uplot';
import { formatClock } from './format.ts';
import type { History } from './history.ts';
import type { Release } from './model.ts';
import { releaseLabel } from './summary.ts';
import { resolveColour } from './theme.ts';

export interface ChartLine {
  label: string;
  colour: string; // token, "--v0"
  release: { digest: string; p50Ms: number | null; p99Ms: number | null; budgetP99Ms: number | null };
}

const MAX_LINES = 6;

/** The newest releases that have shown any latency since the page was opened. */
export function chartLines(releases: Release[], columns: Map<string, unknown[]>, versions: Map<string, number>): ChartLine[] {
  return [...releases]
    .sort((a, b) => (b.createdMs ?? 0) - (a.createdMs ?? 0))
    .filter((release) => columns.get(`${release.digest} p99`)?.some((value) => value !== null))
    .slice(0, MAX_LINES)
    .map((release) => ({
      label: releaseLabel(release, releases),
      colour: `--v${versions.get(release.digest) ?? 0}`,
      release: {
        digest: release.digest,
        p50Ms: release.telemetry.p50Ms,
        p99Ms: release.telemetry.p99Ms,
        budgetP99Ms: release.budgetP99Ms,
      },
    }));
}

function budgets(lines: ChartLine[]): number[] {
  return [...new Set(lines.map((line) => line.release.budgetP99Ms).filter((ms): ms is number => ms !== null))];
}

export function chartData(history: History, lines: ChartLine[]): uPlot.AlignedData {
  const pairs = lines.flatMap(({ release }) => [history.column(`${release.digest} p99`), history.column(`${release.digest} p50`)]);
  const flat = budgets(lines).map((ms) => history.times.map(() => ms));
  return [history.times, ...pairs, ...flat];
}

function series(lines: ChartLine[], host: HTMLElement): uPlot.Series[] {
  const common = { spanGaps: false, points: { show: false } };
  const pairs = lines.flatMap((line): uPlot.Series[] => {
    const stroke = resolveColour(line.colour, host);
    return [
      { ...common, label: `${line.label} p99`, stroke, width: 2 },
      { ...common, label: `${line.label} p50`, stroke, width: 1.5, dash: [5, 4] },
    ];
  });
  const budgetStroke = resolveColour('--soft', host);
  const flat = budgets(lines).map((ms): uPlot.Series => ({ ...common, label: `≤ ${ms}`, stroke: budgetStroke, width: 1.5, dash: [1.5, 4] }));
  return [{}, ...pairs, ...flat];
}

function axes(host: HTMLElement): uPlot.Axis[] {
  const stroke = resolveColour('--soft', host);
  const grid = { stroke: resolveColour('--line', host), width: 1 };
  const font = `12px ${getComputedStyle(host).fontFamily}`;
  const common = { stroke, grid, ticks: { show: false }, font };
  return [
    { ...common, values: (_, splits) => splits.map((s) => formatClock(s * 1000)), space: 90, size: 30, grid: { show: false } },
    { ...common, values: (_, splits) => splits.map((ms) => `${ms} ms`), size: 58 },
  ];
}

export function chartOptions(lines: ChartLine[], host: HTMLElement, height: number, onCursor: (index: number | null) => void): uPlot.Options {
  return {
    width: Math.max(200, host.clientWidth),
    height,
    padding: [8, 12, 0, 0],
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { show: false } },
    scales: { y: { range: (_, __, max) => [0, Math.max(1, (max || 0) * 1.1)] } },
    series: series(lines, host),
    axes: axes(host),
    hooks: { setCursor: [(u) => onCursor(u.cursor.idx ?? null)] },
  };
}
