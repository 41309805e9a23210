// A headless Chromium on the console over the mock server, with a clock that the caller turns. Needs `npm ci` in web/tools.
import { createRequire } from 'node:module';
import { startMock } from './mock.mjs';

const require = createRequire(new URL('../tools/package.json', import.meta.url));
const { chromium } = require('playwright-core');
export const axeSource = require('axe-core').source;

const FLAGS = ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking'];
const START_MS = Date.UTC(2026, 0, 5, 2, 0, 0);

export function launch() {
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: FLAGS });
}

/** Opens a signed-in page. `problems` gathers whatever the browser complains about: script errors, refused resources. */
export async function openConsole(browser, { robots = 10, scheme = 'light', width = 1440, height = 1000, token } = {}) {
  const mock = await startMock({ robots, startMs: START_MS });
  const page = await browser.newPage({ viewport: { width, height }, colorScheme: scheme, reducedMotion: 'reduce', timezoneId: 'UTC' });
  const problems = [];
  page.on('console', (message) => message.type() === 'error' && problems.push(message.text()));
  page.on('pageerror', (error) => problems.push(String(error)));
  await page.clock.install({ time: START_MS });
  await page.goto(`${mock.url}#token=${token ?? mock.token}`);
  const close = async () => (await page.close(), mock.stop());
  return { page, mock, problems, close };
}

/** Lets `seconds` pass for fleet and page alike, one poll at a time. */
export async function pass({ page, mock }, seconds) {
  for (let s = 0; s < seconds; s += 2) {
    mock.world.advance(2);
    await page.clock.runFor(2_000);
    await page.waitForTimeout(25); // the answers come in real time
  }
  await page.clock.runFor(300);
  await page.waitForTimeout(100);
}
