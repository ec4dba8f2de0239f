// The first page: shows what the public API says, and asks again for as long as somebody looks.
import { Batches } from './batches.js';
import { Bill } from './bill.js';
import { Datasets } from './datasets.js';
import { byId, setText } from './dom.js';
import { bytes } from './format.js';
import { bannerOf } from './health.js';
import { countsOf } from './metrics.js';
import { Now } from './now.js';
import { Poller } from './poller.js';
import { ask, askJson, askReadiness } from './service.js';
import { Workers } from './workers.js';

const now = new Now();
const workers = new Workers();
const bill = new Bill();
const datasets = new Datasets(() => looks.datasets.now());
const batches = new Batches(
  () => bill.currency,
  () => looks.batches.now(),
);

/** @type {number | undefined} */
let awaySince;
let version = '';
let work = '';

/** The quick look: is somebody there, how is it doing, and does anything move that the slower looks should see soon? */
async function lookNow() {
  const [ready, metrics, living] = await Promise.allSettled([
    askReadiness(),
    ask('metrics').then((response) => response.text()),
    askJson('v1/workers?limit=100'),
  ]);
  await showHealth(ready);
  if (living.status === 'fulfilled') workers.show(living.value.items);
  else workers.failed(living.reason);
  if (metrics.status === 'rejected') {
    now.failed(metrics.reason);
    throw metrics.reason;
  }
  const counts = countsOf(metrics.value);
  now.show(counts);
  showRoom(counts);
  const before = work;
  work = JSON.stringify([counts, living.status === 'fulfilled' && living.value.items.map(doneBy)]);
  if (work !== before) looks.datasets.soon();
  return false;
}

/** @param {any} worker */
const doneBy = ({ generated, failed, evicted }) => [generated, failed, evicted];

/** @param {PromiseSettledResult<{ status: string, missing: string[] }>} ready */
async function showHealth(ready) {
  const wasAway = awaySince !== undefined;
  awaySince = ready.status === 'fulfilled' ? undefined : (awaySince ?? Date.now());
  const { status, missing } = ready.status === 'fulfilled' ? ready.value : { status: 'not reachable', missing: [] };
  const text = bannerOf({ awaySince, missing });
  const banner = byId('banner');
  setText(banner, text);
  banner.hidden = text === '';
  document.body.setAttribute('data-status', status);
  if (awaySince === undefined && (wasAway || version === '')) {
    version = await askJson('v1/version').then(
      (said) => `version ${said.version}`,
      () => version,
    );
  }
  if (awaySince === undefined && wasAway) for (const look of [looks.datasets, looks.batches, looks.bill]) look.now();
  setText(byId('status'), [status, version].filter(Boolean).join(' · '));
}

/** @param {import('./metrics.js').Counts} counts */
function showRoom({ storedBytes, capacityBytes }) {
  if (storedBytes === undefined) return;
  const room = capacityBytes === undefined ? '' : ` of ${bytes(capacityBytes)}`;
  setText(byId('room'), `${bytes(storedBytes)}${room} stored`);
}

/** What batches cost is in the currency of the bill. */
async function lookAtBill() {
  const isFirst = bill.currency === undefined;
  await bill.look();
  if (isFirst) looks.batches.soon();
  return false;
}

const looks = {
  now: new Poller(lookNow, { everyMs: 2000, soonMs: 2000, failedMsMax: 5000 }),
  datasets: new Poller(() => datasets.look(), { everyMs: 10_000, soonMs: 2000, failedMsMax: 30_000 }),
  batches: new Poller(() => batches.look(), { everyMs: 10_000, soonMs: 2000, failedMsMax: 30_000 }),
  bill: new Poller(lookAtBill, { everyMs: 30_000, soonMs: 30_000, failedMsMax: 120_000 }),
};

for (const look of Object.values(looks)) look.now();
document.addEventListener('visibilitychange', () => {
  for (const look of [looks.now, looks.datasets, looks.batches]) look.now();
  looks.bill.soon();
});
document.addEventListener('scrollend', () => {
  if (datasets.isWaiting) looks.datasets.now();
});
