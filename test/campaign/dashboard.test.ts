// The first page in a real browser, on a real service: what a person sees happen, what they can do, and what they are told
// when a part of the service is away.
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { findOnPath } from '../../tools/on-path.mjs';
import { eventually } from '../eventually.ts';
import { declare, eventsUrl, Service } from '../service.ts';
import { ensureProgram } from './debian.ts';

/** A browser in a container has no sandbox and little shared memory. */
const flags = ['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'];
/** About 40 ms of CPU a chunk: long enough for a person to pause a batch of them. */
const slow = { generator: 'minbias', seed: 5, events: 256 * 4000, chunkEvents: 256, parameters: { mean: 200 } };

let browser: Browser;
let service: Service;

beforeAll(async () => {
  await ensureProgram('chromium', 'chromium');
  browser = await chromium.launch({ executablePath: findOnPath('chromium') ?? '', args: flags });
  service = await Service.start({ schedulers: 1 });
  await declare(service.url, 'demo:zmumu', { generator: 'ee_mumu', seed: 1, events: 100_000, chunkEvents: 1000 });
});
afterAll(async () => {
  await browser?.close();
  await service?.stop();
});

/** A page of its own for one test, and everything it asked for or complained of. */
async function open(prepare: (context: BrowserContext) => Promise<unknown> = async () => undefined) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 1600 } });
  onTestFinished(() => context.close());
  await prepare(context);
  const page = await context.newPage();
  const seen = { requests: [] as string[], complaints: [] as string[], dialogs: 0 };
  page.on('request', (request) => seen.requests.push(request.url()));
  page.on('pageerror', (error) => seen.complaints.push(error.message));
  page.on('dialog', (dialog) => {
    seen.dialogs++;
    void dialog.dismiss();
  });
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') seen.complaints.push(message.text());
  });
  await page.goto(service.url);
  return { page, seen };
}

const datasetRow = (page: Page, name: string) =>
  page.locator('#datasets .list > li').filter({ has: page.getByText(name, { exact: true }) });

/** Waits until the element says so. */
async function says(page: Page, selector: string, text: RegExp): Promise<void> {
  await eventually(async () => expect(await page.locator(selector).innerText()).toMatch(text), { timeout: 30_000 });
}

async function figure(page: Page, id: string): Promise<number> {
  return Number.parseInt((await page.locator(`#${id} .value`).innerText()).replaceAll(',', ''), 10);
}

async function createBatch(dataset: string): Promise<string> {
  const response = await fetch(`${service.url}/v1/batches`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ dataset }),
  });
  expect(response.status).toBe(201);
  return ((await response.json()) as { id: string }).id;
}

async function stateOf(id: string): Promise<string> {
  const batch = (await (await fetch(`${service.url}/v1/batches/${id}`)).json()) as { state: string };
  return batch.state;
}

test('it shows the service at work, asks nobody else for anything, and has nothing to complain of', async () => {
  const { page, seen } = await open();
  const row = datasetRow(page, 'demo:zmumu');
  await says(page, '#status', /^ready · version \d/);
  await row.getByText('0 of 100 chunks stored').waitFor();
  const strip = row.getByRole('img');
  expect(await strip.getAttribute('aria-label')).toMatch(/^100.chunks: 100 virtual$/);
  await page.locator('#workers .list > li').waitFor();
  await says(page, '#workers .list', /0 of 2.threads busy/);
  await page.getByText('No batches yet').waitFor();
  expect(await page.locator('#banner').isVisible()).toBe(false);

  const [hits, misses] = [await figure(page, 'hits'), await figure(page, 'misses')];
  await (await fetch(eventsUrl(service.url, 'demo:zmumu', '10001-40000'))).arrayBuffer();
  await row.getByText('30 of 100 chunks stored').waitFor();
  expect(await strip.getAttribute('aria-label')).toMatch(/^100.chunks: 30 materialized, 70 virtual$/);
  const stored = await strip.locator('path.materialized').getAttribute('d');
  expect(stored?.match(/M/g)).toHaveLength(30);
  await eventually(async () => expect(await figure(page, 'misses')).toBe(misses + 30));
  await (await fetch(eventsUrl(service.url, 'demo:zmumu', '10001-40000'))).arrayBuffer();
  await eventually(async () => expect(await figure(page, 'hits')).toBe(hits + 30));

  await page.locator('#bill table').first().waitFor({ timeout: 60_000 });
  for (const policy of ['As it was', 'Never store', 'Always store', 'Clairvoyant optimum']) {
    await page.getByRole('rowheader', { name: policy }).waitFor();
  }
  expect(seen.complaints).toEqual([]);
  const origin = new URL(service.url).origin;
  expect(seen.requests.filter((url) => new URL(url).origin !== origin && !url.startsWith('data:'))).toEqual([]);
  // Only what API.md names: the page is a client like any other.
  const paths = new Set(seen.requests.map((url) => new URL(url).pathname.replace(/^\/page\/.*/, '/page')));
  for (const path of paths) expect(path).toMatch(/^\/($|page$|readyz$|metrics$|v1\/)/);
});

test('a batch appears by itself, is paused, resumed and cancelled by keyboard, and the focus stays where it was', async () => {
  await declare(service.url, 'slow:batch', slow);
  const { page, seen } = await open();
  await says(page, '#status', /ready/);
  const id = await createBatch('slow:batch');
  const row = page.locator(`[id="batch-${id}"]`);
  await row.waitFor({ timeout: 15_000 });
  await eventually(async () => expect(await row.locator('.facts').innerText()).toMatch(/^[1-9][\d,]* of 4,000/), {
    timeout: 30_000,
  });
  expect(await row.getAttribute('data-state')).toBe('running');

  await row.getByRole('button', { name: /^Pause/ }).focus();
  await page.keyboard.press('Enter');
  await row.getByRole('button', { name: /^Resume/ }).waitFor();
  await eventually(async () => expect(await stateOf(id)).toBe('paused'));
  await says(page, '#batches .said', /^The batch of slow:batch was paused at \d\d:\d\d:\d\d\.$/);
  expect(await page.evaluate('document.activeElement.textContent')).toBe('Resume');

  await page.keyboard.press('Enter');
  await row.getByRole('button', { name: /^Pause/ }).waitFor();
  await eventually(async () => expect(await stateOf(id)).toBe('running'));

  await row.getByRole('button', { name: /^Cancel/ }).focus();
  await page.keyboard.press('Enter');
  await page.getByRole('dialog').waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'hidden' });
  expect(await stateOf(id)).toBe('running');
  await eventually(async () => expect(await page.evaluate('document.activeElement.textContent')).toBe('Cancel'));
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: 'Cancel the batch', exact: true }).click();
  await eventually(async () => expect(await row.getAttribute('data-state')).toBe('cancelled'));
  expect(await stateOf(id)).toBe('cancelled');
  expect(await row.getByRole('button').count()).toBe(0);
  expect(seen.complaints).toEqual([]);
});

test('a refusal of what a person wanted is told to them', async () => {
  await declare(service.url, 'slow:refused', { ...slow, seed: 6 });
  const id = await createBatch('slow:refused');
  const { page } = await open((context) =>
    context.route('**/v1/batches/*', (route) =>
      route.fulfill({ status: 409, json: { title: 'It has ended', detail: 'The batch <b>has</b> ended.' } }),
    ),
  );
  await page
    .locator(`[id="batch-${id}"]`)
    .getByRole('button', { name: /^Pause/ })
    .click();
  await says(page, '#batches .said', /^The batch of slow:refused was not paused: The batch <b>has<\/b> ended\.$/);
  await fetch(`${service.url}/v1/batches/${id}`, { method: 'DELETE' });
});

const hostile = `"><img src=x onerror=alert(1)><script>alert(2)</script>\u202e${'x'.repeat(3000)}`;

test('names and reasons are text, whatever they hold', async () => {
  const { page, seen } = await open(async (context) => {
    const batch = {
      id: hostile,
      dataset: hostile,
      state: 'failed',
      reason: hostile,
    };
    await context.route('**/v1/batches?*', (route) => route.fulfill({ json: { items: [batch], next: null } }));
    await context.route('**/v1/datasets?*', (route) =>
      route.fulfill({
        json: {
          items: [{ scope: hostile, name: hostile, generator: hostile, version: '1', events: 1, chunks: 1 }],
          next: null,
        },
      }),
    );
    const money = { cost: 1, cpuSeconds: 1, byteSeconds: 1, bytesServed: 1, hitRatio: 1, energyKwh: 1, gramsCo2e: 1 };
    const all = { actual: money, never: money, always: money, optimum: money };
    await context.route('**/v1/reports/cost?*', (route) =>
      route.fulfill({ json: { currency: hostile, rows: [{ key: hostile, ...all }], total: all } }),
    );
  });
  await page.locator('#bill td').first().waitFor();
  await page.locator('#batches .list > li').waitFor();
  for (const part of ['#datasets', '#batches', '#bill']) {
    expect(await page.locator(part).innerText()).toContain('<img src=x onerror=alert(1)>');
  }
  expect(await page.locator('img, main script').count()).toBe(0);
  expect(seen.dialogs).toBe(0);
  // A name of 3000 letters does not make the page wider than the window.
  expect(await page.evaluate('document.documentElement.scrollWidth - innerWidth')).toBeLessThanOrEqual(0);
});

test('without Redis it says so, keeps the last figures, marked as old, and recovers by itself', async () => {
  const { page } = await open();
  await says(page, '#workers .list', /2.threads/);
  await service.redis.kill();
  onTestFinished(() => service.redis.restart());
  await says(page, '#banner', /^Redis cannot be reached: stored events are served/);
  await says(page, '#status', /^degraded/);
  await says(page, '#workers .note', /^As of \d\d:\d\d:\d\d: The queue cannot be reached$/);
  expect(await page.locator('#workers .list').innerText()).toMatch(/2.threads/);
  expect(await page.locator('#queue').getAttribute('data-stale')).not.toBeNull();
  expect(await page.locator('#hits').getAttribute('data-stale')).toBeNull();
  expect(await datasetRow(page, 'demo:zmumu').locator('.sum').innerText()).toMatch(/of 100.chunks stored/);
  await service.redis.restart();
  await page.locator('#banner').waitFor({ state: 'hidden', timeout: 30_000 });
  await page.locator('#workers .note').waitFor({ state: 'hidden' });
  await says(page, '#status', /^ready/);
});

test('an api that is gone is said to be since when, and its return is seen without a reload', async () => {
  const api = await service.startApi();
  const { page } = await open();
  await page.goto(api.url);
  await datasetRow(page, 'demo:zmumu')
    .getByText(/of 100.chunks stored/)
    .waitFor();
  await api.end('SIGKILL');
  await says(page, '#banner', /^The service has not answered since \d\d:\d\d:\d\d\. Trying again\.$/);
  await says(page, '#status', /^not reachable/);
  const banner = await page.locator('#banner').innerText();
  await says(page, '#now .note', /^As of/);
  expect(await datasetRow(page, 'demo:zmumu').count()).toBe(1);
  expect(await page.locator('#banner').innerText()).toBe(banner);
  await service.startApi({ EVOKE_PORT: new URL(api.url).port });
  await page.locator('#banner').waitFor({ state: 'hidden', timeout: 30_000 });
  await says(page, '#status', /^ready/);
  await page.locator('#now .note').waitFor({ state: 'hidden' });
});

test('a dataset of 2^53 events, and one too scattered for a strip, are shown in bounded time and requests', async () => {
  await declare(service.url, 'vast:all', {
    generator: 'ee_mumu',
    seed: 7,
    events: Number.MAX_SAFE_INTEGER,
    chunkEvents: 4096,
  });
  await (await fetch(eventsUrl(service.url, 'vast:all', '1-1000'))).arrayBuffer();
  const items = Array.from({ length: 1000 }, (_, i) => ({
    firstChunk: i,
    lastChunk: i,
    state: i % 2 === 0 ? 'materialized' : 'virtual',
  }));
  const { page, seen } = await open((context) =>
    context.route('**/demo/zmumu/materialization?*', (route) => route.fulfill({ json: { items, next: '999' } })),
  );
  const label = (name: string) => datasetRow(page, name).getByRole('img').getAttribute('aria-label');
  await eventually(
    async () => expect(await label('vast:all')).toMatch(/: 1 materialized, 2,199,023,255,551 virtual$/),
    // Datasets are looked at again after ten seconds at the latest.
    { timeout: 30_000 },
  );
  await eventually(async () => expect(await label('demo:zmumu')).toMatch(/not looked at/));
  expect(await datasetRow(page, 'demo:zmumu').innerText()).toContain('too scattered');
  expect(await page.locator('#datasets path').count()).toBeLessThan(200);
  expect(seen.requests.length).toBeLessThan(100);
});

test.each([
  [400, 'light'],
  [400, 'dark'],
  [320, 'light'],
] as const)(
  'at %d pixels, %s, nothing reaches over the edge but tables in their frames',
  async (width, colorScheme) => {
    const { page } = await open();
    await page.setViewportSize({ width, height: 900 });
    await page.emulateMedia({ colorScheme });
    await datasetRow(page, 'demo:zmumu')
      .getByText(/of 100.chunks stored/)
      .waitFor();
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(width);
  },
);

test('a tab that nobody sees asks for nothing, and asks at once when somebody sees it again', async () => {
  const { page, seen } = await open((context) => context.clock.install());
  await says(page, '#status', /ready/);
  const hide = (isHidden: boolean) =>
    page.evaluate(`Object.defineProperty(document, 'hidden', { configurable: true, value: ${isHidden} });
      document.dispatchEvent(new Event('visibilitychange'));`);
  await hide(true);
  // What was under way ends.
  await page.waitForLoadState('networkidle');
  const asked = seen.requests.length;
  await page.clock.runFor(120_000);
  expect(seen.requests.length).toBe(asked);
  await hide(false);
  await eventually(() => expect(seen.requests.length).toBeGreaterThan(asked));
});
