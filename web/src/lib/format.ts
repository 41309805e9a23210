// Numbers as people read them. Unknown (null) is always the same dash, never a zero.

export const UNKNOWN = '–';

const THOUSANDS = [
  [1e9, 'G'],
  [1e6, 'M'],
  [1e4, 'k', 1e3],
] as const;

export function formatCount(n: number | null): string {
  if (n === null) return UNKNOWN;
  for (const [from, unit, divisor = from] of THOUSANDS) {
    if (n >= from) return `${trim(n / divisor)} ${unit}`;
  }
  return String(Math.round(n));
}

function trim(n: number): string {
  return n >= 100 ? n.toFixed(0) : n >= 10 ? n.toFixed(1) : n.toFixed(2);
}

export function formatMs(ms: number | null): string {
  if (ms === null) return UNKNOWN;
  if (ms >= 10_000) return `${(ms / 1000).toFixed(1)} s`;
  return `${ms >= 100 ? ms.toFixed(0) : ms >= 10 ? ms.toFixed(1) : ms.toFixed(2)} ms`;
}

/** A share of 0…1 as percent. Something that happened is never shown as 0 %, something incomplete never as 100 %. */
export function formatShare(share: number | null): string {
  if (share === null) return UNKNOWN;
  const percent = share * 100;
  if (percent > 0 && percent < 0.01) return '< 0.01 %';
  if (percent < 100 && percent > 99.9) return '> 99.9 %';
  return `${percent >= 10 ? percent.toFixed(1) : percent.toFixed(2)} %`;
}

export function formatScore(score: number | null): string {
  return score === null ? UNKNOWN : score.toFixed(3);
}

const BYTES = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

export function formatBytes(bytes: number | null): string {
  if (bytes === null) return UNKNOWN;
  let unit = 0;
  while (bytes >= 1024 && unit < BYTES.length - 1) {
    bytes /= 1024;
    unit++;
  }
  return `${unit === 0 ? bytes.toFixed(0) : trim(bytes)} ${BYTES[unit]}`;
}

const SPANS = [
  [86_400, 'd'],
  [3_600, 'h'],
  [60, 'min'],
  [1, 's'],
] as const;

/** A span in its one or two largest units: "42 s", "3 min 5 s", "2 h", "4 d 6 h". */
export function formatSpan(ms: number | null): string {
  if (ms === null) return UNKNOWN;
  const seconds = Math.max(0, Math.round(ms / 1000));
  const at = SPANS.findIndex(([size]) => seconds >= size);
  if (at < 0) return '0 s';
  const [size, unit] = SPANS[at]!;
  const whole = `${Math.floor(seconds / size)} ${unit}`;
  const next = SPANS[at + 1];
  const rest = next ? Math.floor((seconds % size) / next[0]) : 0;
  return next && rest > 0 ? `${whole} ${rest} ${next[1]}` : whole;
}

/** "sha256:0123456789ab…" → "0123456789ab" */
export function shortDigest(digest: string): string {
  return digest.replace(/^sha256:/, '').slice(0, 12);
}

export function formatClock(ms: number | null): string {
  if (ms === null) return UNKNOWN;
  const d = new Date(ms);
  return [d.getHours(), d.getMinutes(), d.getSeconds()].map((n) => String(n).padStart(2, '0')).join(':');
}
