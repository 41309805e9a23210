// The console in a real browser over the pretend fleet: no complaint of the browser (content policy included), no finding of
// axe in either scheme, a walk by keyboard alone, sign-in, and a server that goes and comes back.
//
//   cd web/tools && npm ci --ignore-scripts && cd .. && npm run build && node scripts/browser-check.mjs

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { axeSource, launch, openConsole, pass } from './browser.mjs';

let browser;
before(async () => (browser = await launch()));
after(() => browser.close());

async function withConsole(options, body) {
  const view = await openConsole(browser, options);
  try {
    await body(view);
    assert.deepEqual(view.problems, []);
  } finally {
    await view.close();
  }
}

/** axe is evaluated by the driver, outside the page's content policy. */
async function findings(page) {
  await page.evaluate(axeSource);
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html.slice(0, 140)).join(' | ')}`);
}

for (const scheme of ['light', 'dark']) {
  test(`nothing to find for axe, ${scheme}`, () =>
    withConsole({ scheme }, async (view) => {
      await pass(view, 244);
      assert.deepEqual(await findings(view.page), []);
      await view.page.click('[data-robot="r1"]');
      await pass(view, 2);
      assert.deepEqual(await findings(view.page), []);
    }));
}

test('the wall, the drawer and back by keyboard alone', () =>
  withConsole({}, async (view) => {
    const { page } = view;
    const focused = () => page.evaluate(() => document.activeElement?.dataset.robot ?? document.activeElement?.getAttribute('aria-label'));
    await pass(view, 120);
    assert.equal(await page.locator('[data-robot][tabindex="0"]').count(), 1);
    await page.focus('[data-robot][tabindex="0"]');
    await page.keyboard.press('ArrowRight');
    assert.equal(await focused(), 'r2');
    await page.keyboard.press('End');
    assert.equal(await focused(), 'r10');
    await page.keyboard.press('ArrowUp');
    await page.keyboard.press('ArrowDown');
    assert.equal(await focused(), 'r10');
    await page.keyboard.press('Enter');
    await pass(view, 2);
    assert.equal(await focused(), 'Close');
    assert.match(await page.textContent('[role=dialog]'), /Robot r10[\s\S]*committed[\s\S]*Last reports/);
    await page.keyboard.press('Escape');
    await page.waitForTimeout(50);
    assert.equal(await focused(), 'r10');
  }));

test('the token leaves the address bar and opens the page again after a reload', () =>
  withConsole({}, async (view) => {
    await pass(view, 4);
    assert.ok(!view.page.url().includes('token'));
    await view.page.reload();
    await pass(view, 4);
    assert.equal(await view.page.locator('[data-robot]').count(), 10);
  }));

test('a refused token asks again, a good one gets in', () =>
  withConsole({ token: 'wrong-token' }, async (view) => {
    await pass(view, 2);
    await view.page.waitForSelector('[role=alert]');
    assert.ok(view.problems.every((problem) => problem.includes('401')));
    view.problems.length = 0;
    await view.page.fill('#token', view.mock.token);
    await view.page.keyboard.press('Enter');
    await pass(view, 4);
    assert.equal(await view.page.locator('[data-robot]').count(), 10);
  }));

test('without answers nothing stays green, and all comes back by itself', () =>
  withConsole({}, async (view) => {
    const { page, mock } = view;
    const green = () => page.locator('main [data-tone="ok"]:not([role=log] *)').count();
    await pass(view, 60);
    assert.ok((await green()) > 0);
    await page.route('**/api/**', (route) => route.abort());
    mock.dropStreams();
    await pass(view, 20);
    assert.equal(await green(), 0);
    assert.match(await page.textContent('.banner'), /has not answered for/);
    await page.unroute('**/api/**');
    mock.world.tell('rollout', '', 'told while nobody could hear');
    await pass(view, 40);
    assert.ok((await green()) > 0);
    assert.match(await page.textContent('[role=log]'), /told while nobody could hear/);
    view.problems.splice(0, view.problems.length, ...view.problems.filter((problem) => !/ERR_(FAILED|INCOMPLETE)/.test(problem)));
  }));

test('events are neither lost nor doubled over a broken stream', () =>
  withConsole({}, async (view) => {
    await pass(view, 20);
    for (let round = 0; round < 3; round++) {
      view.mock.dropStreams();
      await pass(view, 20);
    }
    const texts = await view.page.locator('[role=log] li').allTextContents();
    assert.equal(texts.length, view.mock.world.events.length);
    assert.deepEqual(view.problems.splice(0).filter((problem) => !/ERR_(INCOMPLETE_CHUNKED|CONNECTION)/.test(problem)), []);
  }));

for (const [robots, density] of [[0, 'roomy'], [80, 'roomy'], [81, 'close'], [700, 'dense']]) {
  test(`${robots} robots stand on the wall, ${density}`, () =>
    withConsole({ robots }, async (view) => {
      await pass(view, 4);
      assert.equal(await view.page.locator('[data-robot]').count(), robots);
      assert.equal(await view.page.locator('.wall').getAttribute('data-density'), density);
    }));
}

test('no sideways scrolling on a phone', () =>
  withConsole({ width: 360, height: 780 }, async (view) => {
    await pass(view, 244);
    const wide = await view.page.evaluate(() =>
      [...document.querySelectorAll('main *')]
        .filter((e) => e.getBoundingClientRect().right > innerWidth && !e.closest('.scroll') && !e.closest('.visually-hidden'))
        .map((e) => e.outerHTML.slice(0, 90)),
    );
    assert.deepEqual(wide, []);
    assert.ok(await view.page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
  }));

test('frames are judged by keyboard alone, and axe has nothing to say of it', () =>
  withConsole({}, async (view) => {
    const { page, mock } = view;
    const verdicts = () => mock.world.reviews.map((review) => review.verdict);
    await pass(view, 20);
    await page.focus('[data-review]');
    await page.keyboard.press('Enter');
    await page.waitForSelector('dialog[open] canvas');
    assert.match(await page.textContent('dialog'), /alarm[\s\S]*r3[\s\S]*fall 0.83/);
    assert.deepEqual(await findings(page), []);
    await page.fill('dialog input[type=text]', 'ft'); // letters in a field are no verdicts
    await page.focus('dialog');
    await page.keyboard.press('f');
    await page.waitForFunction(() => /one in 10/.test(document.querySelector('dialog').textContent));
    assert.deepEqual(verdicts(), ['false', 'open', 'open']);
    assert.equal(mock.world.reviews[0].note, 'ft');
    await page.waitForFunction(() => document.querySelector('dialog canvas')?.width === 512); // 64 pixels, eight times
    const colour = (x, y) => page.evaluate(([x, y]) => [...document.querySelector('dialog canvas').getContext('2d').getImageData(x, y, 1, 1).data], [x, y]);
    const [red, green] = await colour(500, 10);
    assert.ok(red > 150 && green < 80, 'the picture');
    assert.deepEqual((await colour(8 * 8, 100)).slice(0, 3), [0x3f, 0xd2, 0xff], 'the edge of a box');
    assert.match(await page.textContent('dialog'), /crate 0.520/);
    await page.keyboard.press('n');
    await page.waitForFunction(() => /random audit/.test(document.querySelector('dialog').textContent));
    await page.fill('dialog input[type=number]', '2');
    await page.focus('dialog');
    await page.keyboard.press('t');
    await page.waitForFunction(() => /Nothing waits/.test(document.querySelector('dialog').textContent));
    assert.deepEqual(verdicts(), ['false', 'open', 'true']);
    assert.equal(mock.world.reviews[2].missed, 2);
    await page.keyboard.press('Escape');
    await page.waitForTimeout(50);
    assert.ok(await page.evaluate(() => document.activeElement?.hasAttribute('data-review')));
  }));

test('what the model says can be hidden until there is a verdict', () =>
  withConsole({}, async (view) => {
    const { page } = view;
    await pass(view, 20);
    await page.click('[data-review]');
    await page.waitForSelector('dialog[open] canvas');
    await page.check('dialog input[type=checkbox]');
    assert.doesNotMatch(await page.textContent('dialog'), /fall 0.83/);
  }));

test('drift is told first, and acknowledged only after a second word', () =>
  withConsole({}, async (view) => {
    const { page, mock } = view;
    const open = () => mock.world.drift.filter((finding) => !finding.closed_ms).map((finding) => finding.id);
    await pass(view, 20);
    const finding = page.locator('[data-drift="2"]');
    assert.match(await finding.textContent(), /Something new[\s\S]*common to the fleet[\s\S]*look at the novel frames[\s\S]*r1[\s\S]*r3/);
    await finding.locator('button', { hasText: 'Acknowledge' }).focus();
    await page.keyboard.press('Enter');
    await page.waitForSelector('[data-drift="2"] form');
    assert.deepEqual(await findings(page), []);
    await page.keyboard.press('Escape');
    await page.waitForSelector('[data-drift="2"] form', { state: 'detached' });
    assert.deepEqual(open(), [2, 1]);
    await page.keyboard.press('Enter'); // the focus is back on its button
    await page.waitForSelector('[data-drift="2"] form');
    await page.keyboard.type('seen');
    await page.keyboard.press('Enter');
    await finding.waitFor({ state: 'detached' });
    assert.deepEqual(open(), [1]);
    assert.equal(await page.locator('[data-drift]').count(), 1);
  }));

test('a finding that the server will not close stays, with the reason', () =>
  withConsole({}, async (view) => {
    const { page } = view;
    await pass(view, 20);
    await page.route('**/acknowledge', (route) => route.fulfill({ status: 403, json: { error: { code: 'denied', message: 'the right to review is missing' } } }));
    await page.click('[data-drift="1"] button:has-text("Acknowledge")');
    await page.click('[data-drift="1"] form button:has-text("Close the finding")');
    assert.match(await page.textContent('[data-drift="1"] [role=alert]'), /right to review is missing/);
    assert.equal(await page.locator('[data-drift]').count(), 2);
    assert.ok(view.problems.splice(0).every((problem) => problem.includes('403')));
  }));

test('why a rollout moved and a guard stepped in, and the numbers of a robot', () =>
  withConsole({}, async (view) => {
    const { page } = view;
    await pass(view, 60);
    assert.match(await page.textContent('article'), /because every gate of wave canary holds/);
    await page.click('[data-robot="r1"]');
    await pass(view, 2);
    const drawer = await page.textContent('[role=dialog]');
    assert.match(drawer, /because the result came 61.2 ms[\s\S]*otherwise: at most 60.0 ms/);
    assert.match(drawer, /Link up, Agent ok, Inference ok/);
    const charts = await page.locator('[role=dialog] .chart').evaluateAll((all) => all.map((one) => one.getAttribute('aria-label')));
    assert.equal(charts.length, 3);
    assert.match(charts[0], /Battery: now 61 %, between 61 % and 90 %/);
    assert.deepEqual(await findings(page), []);
  }));
