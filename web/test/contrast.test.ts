// The colour table of app.css against WCAG 2.2: text 4.5:1, drawn lines 3:1, in both schemes.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

const css = readFileSync('src/app.css', 'utf8');
const tokens = new Map([...css.matchAll(/--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)/g)].map((m) => [m[1]!, [m[2]!, m[3]!] as const]));

function luminance(hex: string): number {
  const channels = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16) / 255);
  const [r, g, b] = channels.map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!;
}

function contrast(a: string, b: string): number {
  const [dark, light] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (light! + 0.05) / (dark! + 0.05);
}

const TONES = ['ok', 'busy', 'warn', 'bad', 'off', 'unknown'];
const GROUNDS = ['ground', 'card', 'sunken'];
const TEXT: [string, string][] = [
  ...GROUNDS.flatMap((ground): [string, string][] => [['ink', ground], ['soft', ground], ['accent', ground]]),
  ...TONES.flatMap((tone): [string, string][] => [[tone, `${tone}-ground`], ['ink', `${tone}-ground`], [tone, 'card'], [tone, 'sunken']]),
  ['unknown', 'hatch'],
  ['ink', 'hatch'],
  ['card', 'accent'],
];
const LINES: [string, string][] = ['v0', 'v1', 'v2', 'v3', 'v4', 'v5'].flatMap((v): [string, string][] => [
  [v, 'card'],
  ...TONES.map((tone): [string, string] => [v, `${tone}-ground`]),
]);

for (const [scheme, index] of [['light', 0], ['dark', 1]] as const) {
  for (const [name, pairs, least] of [['text', TEXT, 4.5], ['lines', LINES, 3]] as const) {
    test(`${name} can be read in the ${scheme} scheme`, () => {
      for (const [front, back] of pairs) {
        const [a, b] = [tokens.get(front), tokens.get(back)];
        assert.ok(a && b, `${front} or ${back} is not in app.css`);
        const ratio = contrast(a[index], b[index]);
        assert.ok(ratio >= least, `${front} on ${back}: ${ratio.toFixed(2)} < ${least}`);
      }
    });
  }
}
