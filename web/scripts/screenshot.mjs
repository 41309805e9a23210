// Pictures of the console over the pretend fleet: node scripts/screenshot.mjs [--out shots] (after `npm run build`).
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { launch, openConsole, pass } from './browser.mjs';

const { values } = parseArgs({ options: { out: { type: 'string', default: 'shots' }, only: { type: 'string', default: '' } } });

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

mkdirSync(values.out, { recursive: true });
const browser = await launch();
for (const shot of SHOTS.filter(({ name }) => name.includes(values.only))) await shoot(browser, shot);
await browser.close();
