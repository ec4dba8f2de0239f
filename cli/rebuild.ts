// evoke rebuild: what the store holds, reconstructed from the store alone, and anew whatever else is derived from it: a
// running service's book of the capacity, and the progress of batches where its record is damaged. A service that starts on
// a store does the same by itself.
import type { Environment } from '../config/settings.ts';
import { batchStatus } from '../core/batch.ts';
import { systemClock } from '../core/clock.ts';
import { type Dataset, formatDatasetName } from '../core/dataset.ts';
import { RedisUsageBook } from '../queue/usage-book.ts';
import { listBatchNames } from '../store/batch-names.ts';
import { Batches } from '../store/batches.ts';
import { entriesOf } from '../store/capacity.ts';
import { Catalog } from '../store/catalog.ts';
import { type Held, type Orphans, takeCensus } from '../store/census.ts';
import { Chunks } from '../store/chunks.ts';
import { placeOf } from '../store/layout.ts';
import { passOverDamaged } from '../store/records.ts';
import type { Store } from '../store/store.ts';
import { humanBytes, printJson, printLine, table } from './output.ts';
import { type OwnStore, openOwnStore } from './own-store.ts';
import { WalkLine } from './walk-line.ts';

const pageMax = 1000;
/** As many are shown; there is one for every derivation whose datasets' records are gone. */
const orphansShownMax = 100;

interface Found extends Held {
  readonly name: string;
  readonly events: number;
  readonly pinned: boolean;
}

/** @throws EvokeError BAD_SETTINGS, STORE_UNAVAILABLE; Error when there is no store */
export async function rebuild({ json = false }: { readonly json?: boolean }, environment: Environment): Promise<void> {
  const own = await openOwnStore(environment);
  const { store } = own;
  const status = new WalkLine();
  const stop = new AbortController();
  const interrupt = () => stop.abort(new Error('Interrupted.'));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, interrupt);
  try {
    const catalog = new Catalog(store, systemClock);
    const chunks = new Chunks(store);
    const step = (total: Held) => status.show(() => `counted ${total.chunks} chunks, ${humanBytes(total.bytes)}`);
    const census = await takeCensus({ chunks, catalog, signal: stop.signal, step });
    const datasets: Found[] = [];
    for await (const dataset of allOf(catalog)) {
      const name = formatDatasetName(dataset);
      const held = census.byDataset.get(name) ?? { chunks: 0, bytes: 0 };
      // A pin that does not read is for evoke check to tell.
      const pinned = (await catalog.isPinnedNow(dataset).catch(passOverDamaged)) ?? false;
      datasets.push({ name, events: dataset.events, ...held, pinned });
    }
    const orphans = await Promise.all(census.orphans.slice(0, orphansShownMax).map((one) => described(one, chunks)));
    const progressRemoved = await removeDamagedProgress(store);
    const batches = await batchesByState(new Batches(store, systemClock));
    const book = await rebuildBook(own, chunks);
    status.wipe();
    const { total } = census;
    if (json) printJson({ store: store.description, total, datasets, orphans, batches, progressRemoved, book });
    else
      say({
        own,
        total,
        datasets,
        orphans,
        more: census.orphans.length - orphans.length,
        batches,
        progressRemoved,
        book,
      });
  } finally {
    status.wipe();
    await store.close();
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, interrupt);
  }
}

async function* allOf(catalog: Catalog): AsyncGenerator<Dataset> {
  let after: Dataset | undefined;
  for (;;) {
    const page = await catalog.list({ after, limit: pageMax });
    yield* page;
    after = page.at(-1);
    if (page.length < pageMax) return;
  }
}

/** How many there are in each state, as clients are shown them. */
async function batchesByState(batches: Batches): Promise<Record<string, number>> {
  const byState: Record<string, number> = {};
  let after: string | undefined;
  for (;;) {
    const page = await batches.list({ after, limit: pageMax });
    for (const records of page) {
      const { state } = batchStatus(records);
      byState[state] = (byState[state] ?? 0) + 1;
    }
    after = page.at(-1)?.batch.id;
    if (page.length < pageMax) return byState;
  }
}

/** The leading scheduler derives it again, by walking the batch from its beginning. */
async function removeDamagedProgress(store: Store): Promise<number> {
  let removed = 0;
  for await (const { name } of listBatchNames(store)) {
    const place = placeOf(name);
    if (place?.kind !== 'record' || !place.isProgress || (await place.problem(store)) === undefined) continue;
    if (await store.delete(name)) removed++;
  }
  return removed;
}

/** Undefined where no service runs whose book it could be. */
async function rebuildBook({ config, redisUrl }: OwnStore, chunks: Chunks): Promise<{ usedBytes: number } | undefined> {
  if (redisUrl === undefined) return undefined;
  const book = new RedisUsageBook({ url: redisUrl, prefix: config.redisPrefix });
  try {
    await book.rebuild(entriesOf(chunks));
    const usage = await book.usage();
    return usage && { usedBytes: usage.usedBytes };
  } finally {
    book.close();
  }
}

interface DescribedOrphans extends Held {
  readonly derivation: string;
  /** The dataset that one of them was made for, where it says so. */
  readonly dataset: string | undefined;
  /** What would declare it again; how many events it had is in no chunk. */
  readonly declare: string | undefined;
}

async function described({ sample, ...orphans }: Orphans, chunks: Chunks): Promise<DescribedOrphans> {
  const { chunks: count, bytes, chunkEvents, lastEvent } = orphans;
  const provenance = await chunks.trailer(sample);
  const held = { chunks: count, bytes, derivation: sample.derivation };
  if (provenance === undefined) return { ...held, dataset: undefined, declare: undefined };
  const { dataset, derivation, inputs = [] } = provenance;
  const [input] = inputs;
  const declare = [
    `evoke datasets declare ${dataset ?? 'SCOPE:NAME'} --generator ${derivation.generator}`,
    `--generator-version ${derivation.version} --parameters '${JSON.stringify(derivation.parameters)}'`,
    `--seed ${derivation.seed} --chunk-events ${chunkEvents} --events ${lastEvent}`,
    ...(input === undefined ? [] : [`--input ${input.dataset}`]),
  ].join(' ');
  return { ...held, dataset, declare };
}

function say(found: {
  own: OwnStore;
  total: Held;
  datasets: readonly Found[];
  orphans: readonly DescribedOrphans[];
  more: number;
  batches: Readonly<Record<string, number>>;
  progressRemoved: number;
  book: { usedBytes: number } | undefined;
}): void {
  const { own, total, datasets, orphans, more, batches, progressRemoved, book } = found;
  printLine(`${own.store.description}. ${own.use}`);
  const rows = datasets.map(({ name, events, chunks, bytes, pinned }) => [
    name,
    String(events),
    String(chunks),
    humanBytes(bytes),
    pinned ? 'pinned' : '',
  ]);
  if (rows.length > 0) printLine(`\n${table(['DATASET', 'EVENTS', 'CHUNKS', 'STORED', ''], rows)}\n`);
  printLine(`Datasets: ${datasets.length}. Chunks: ${total.chunks}, ${humanBytes(total.bytes)}.`);
  const states = Object.entries(batches).map(([state, count]) => `${count} ${state}`);
  printLine(`Batches: ${states.length === 0 ? 'none' : states.join(', ')}.`);
  for (const one of orphans) {
    const whose = one.dataset === undefined ? '' : `, made for ${one.dataset}`;
    printLine(`${one.chunks} chunks, ${humanBytes(one.bytes)}${whose}, belong to no declared dataset.`);
    if (one.declare !== undefined) printLine(`  If it had no more events than they reach to: ${one.declare}`);
  }
  if (more > 0) printLine(`Chunks of ${more} more derivations belong to no declared dataset.`);
  if (progressRemoved > 0)
    printLine(`${progressRemoved} damaged records of progress were removed: it is worked out again.`);
  printLine(
    book === undefined
      ? 'The book of the capacity is made when a service starts on this store.'
      : `The book of the capacity was rebuilt: ${humanBytes(book.usedBytes)} in use.`,
  );
}
