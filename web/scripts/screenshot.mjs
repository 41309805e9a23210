// Pictures of the console, after `npm run build` and `npm ci --ignore-scripts` in tools:
//
//   node scripts/screenshot.mjs [--out shots] [--only NAME]                 over the pretend fleet of mock.mjs
//   node scripts/screenshot.mjs --url 'http://127.0.0.1:8080/#token=…' [--seconds 20] [--scheme dark]     of a real server
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { launch, openConsole, pass } from './browser.mjs';

const { values } = parseArgs({
  options: {
    out: { type: 'string', default: 'shots' },
    only: { type: 'string', default: '' },
    url: { type: 'string' },
    seconds: { type: 'string', default: '20' },
    scheme: { type: 'string', default: 'light' },
  },
});

const SHOTS = [
  { name: 'sign-in', seconds: 0, token: 'wrong-token', width: 900, height: 600 },
  { name: 'canary-light', seconds: 170, fullPage: true },
  { name: 'bad-light', seconds: 244, fullPage: true },
  { name: 'bad-dark', seconds: 244, scheme: 'dark', fullPage: true },
  { name: 'robot', seconds: 244, open: 'r1' },
  { name: 'phone', seconds: 244, width: 390, height: 844, fullPage: true },
  { name: 'many', seconds: 60, robots: 400, height: 800 },
  { name: 'stale-dark', seconds: 120, scheme: 'dark', cut: true },
];

async function shoot(browser, shot) {
  const view = await openConsole(browser, shot);
  await pass(view, shot.seconds || 4);
  if (shot.open) await view.page.click(`[data-robot="${shot.open}"]`);
  if (shot.cut) {
    view.mock.stop();
    await view.page.clock.runFor(34_000);
  }
  await view.page.waitForTimeout(200);
  await view.page.screenshot({ path: join(values.out, `${shot.name}.png`), fullPage: shot.fullPage ?? false });
  await view.close();
}

async function shootServer(browser) {
  const page = await browser.newPage({ viewport: { width: 1440, height: 1000 }, colorScheme: values.scheme, ignoreHTTPSErrors: true });
  page.on('console', (message) => message.type() === 'error' && console.error(message.text()));
  await page.goto(values.url);
  await page.waitForTimeout(Number(values.seconds) * 1000);
  await page.screenshot({ path: join(values.out, 'server.png'), fullPage: true });
  console.log(join(values.out, 'server.png'));
}

mkdirSync(values.out, { recursive: true });
const browser = await launch();
if (values.url) await shootServer(browser);
else for (const shot of SHOTS.filter(({ name }) => name.includes(values.only))) await shoot(browser, shot);
await browser.close();
