// Which of a robot's numbers are drawn, and how they are written.

import { UNKNOWN } from './format.ts';
import type { Series } from './model.ts';

/** In the order of the page. */
export const SHOWN_SERIES = [
  'muster.battery.charge',
  'muster.system.temperature.max',
  'muster.system.cpu.utilization',
  'muster.gpu.utilization',
  'muster.drift.log_e',
];

/** One for each name: the one over all signals, and of several releases the one that spoke last. */
export function shownSeries(all: Series[]): Series[] {
  const whole = all.filter((one) => one.points.length > 0 && (!one.attribute || one.word === 'all'));
  return SHOWN_SERIES.flatMap((name) => {
    const same = whole.filter((one) => one.name === name);
    return same.sort((a, b) => (b.lastMs ?? 0) - (a.lastMs ?? 0)).slice(0, 1);
  });
}

/** "1" is a share, but for what counts powers of ten. */
export function formatValue(series: Series, value: number | null): string {
  if (value === null) return UNKNOWN;
  if (/log_e$/.test(series.name)) return value.toFixed(1);
  if (series.unit === '1') return `${(value * 100).toFixed(0)} %`;
  if (series.unit === 'Cel') return `${value.toFixed(1)} °C`;
  return `${value.toPrecision(3)} ${series.unit}`;
}

/** Times in seconds and values, with a hole (null) wherever a minute is missing: nobody is to think it was measured. */
export function seriesData(series: Series, stepMs = 60_000): [number[], (number | null)[]] {
  const times: number[] = [];
  const values: (number | null)[] = [];
  for (const [timeMs, value] of [...series.points].sort((a, b) => a[0] - b[0])) {
    const before = times.at(-1);
    if (before !== undefined && timeMs / 1000 - before > (1.5 * stepMs) / 1000) {
      times.push(before + stepMs / 1000);
      values.push(null);
    }
    times.push(timeMs / 1000);
    values.push(value);
  }
  return [times, values];
}

/** The axis: a share from 0 to 1, anything else from what was seen, never less than one unit high. */
export function seriesRange(series: Series, low: number, high: number): [number, number] {
  if (series.unit === '1' && !/log_e$/.test(series.name)) return [0, 1];
  const room = Math.max(0.5, (high - low) * 0.1);
  return [low - room, high + room];
}
