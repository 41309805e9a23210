// A review and a finding of drift, by keyboard, on a real server that has one of each: node scripts/server-check.mjs URL#token=…
// Says what it did as one line of JSON; tests/test_console.py looks at what the server made of it.
import { axeSource, launch } from './browser.mjs';

const browser = await launch();
const page = await browser.newPage({ viewport: { width: 1440, height: 1000 } });
const problems = [];
page.on('console', (message) => message.type() === 'error' && problems.push(message.text()));
page.on('pageerror', (error) => problems.push(String(error)));
await page.goto(process.argv[2]);

await page.waitForSelector('[data-drift]');
const drift = await page.textContent('[data-drift]');
await page.evaluate(axeSource);
const { violations } = await page.evaluate(() => globalThis.axe.run());
await page.focus('[data-drift] > button:last-child');
await page.keyboard.press('Enter');
await page.waitForSelector('[data-drift] form');
await page.keyboard.type('lens cleaned');
await page.keyboard.press('Enter');
await page.waitForSelector('[data-drift]', { state: 'detached' });

await page.focus('[data-review]');
await page.keyboard.press('Enter');
await page.waitForSelector('dialog[open] .verdicts');
await page.keyboard.press('f');
await page.waitForFunction(() => /Nothing waits/.test(document.querySelector('dialog').textContent));

await browser.close();
console.log(JSON.stringify({ drift, problems, axe: violations.map(({ id }) => id) }));
