// What a campaign does, one operation after another: a pure function of the seed. What is drawn depends on what was drawn
// before and never on an answer, so that the same seed gives the same operations whatever the processes make of them.
import { drawDataset, rawBytesOf, readerOf } from './draw-dataset.ts';
import { type Fault, type FaultKind, faultWeights, planFault } from './fault-plan.ts';
import type {
  BatchWishes,
  ClientKind,
  ClientOperation,
  FormatAsked,
  Manner,
  Operation,
  PlannedDataset,
  Refused,
  Span,
  Wanted,
} from './operations.ts';
import { Prng } from './prng.ts';

/** Not counting retired ones: for every one of those there may be another. */
const livingMax = 28;
const livingMin = 12;
/** Operations after which a dataset that was drawn has been declared, or never will be. */
const newFor = 200;
/** The most datasets that are pinned, and their size: what stays for ever must leave room for the rest. */
const pinnedMax = 3;
const pinnedRawBytesMax = 900_000;
/** Of a batch, and how many are paused at a time: likewise. */
const batchRawBytesMax = 600_000;
const pausedMax = 3;
/** One behind the other. */
const inputsMax = 5;
const pauseMsMax = 80;
/** Operations whose share is that of a hundred or so. */
const clientWeights: Readonly<Record<ClientKind, number>> = {
  declare: 5,
  'declare again': 1,
  'declare otherwise': 1,
  read: 42,
  head: 3,
  'if-none-match': 3,
  'only-if-cached': 4,
  'byte range': 4,
  'ask later': 4,
  'look later': 5,
  'cancel later': 1,
  refused: 3,
  evict: 5,
  plan: 3,
  pin: 2,
  unpin: 2,
  retire: 2,
  show: 3,
  materialization: 3,
  list: 1,
  report: 1,
  workers: 1,
  provenance: 3,
  batch: 3,
  'look at batch': 4,
  'pause batch': 2,
  'resume batch': 3,
  'cancel batch': 1,
  'event ranges': 3,
};
const refusals: readonly Refused[] = ['beyond', 'backwards', 'column', 'format', 'nobody', 'name'];
/** Of a hundred operations, so many are faults. */
const faultShare = 12;

/** The datasets and operations that a seed stands for. The sequence has no end. */
export class Sequence {
  readonly #random: Prng;
  readonly #datasets: PlannedDataset[] = [];
  /** When each dataset was drawn: the number of the operation. */
  readonly #drawnAt: number[] = [];
  readonly #retired = new Set<number>();
  readonly #pinned = new Set<number>();
  readonly #paused = new Set<number>();
  #batches = 0;
  #requests = 0;
  #drawn = 0;

  constructor(seed: number) {
    this.#random = new Prng(seed);
  }

  /** All that was drawn so far. */
  get datasets(): readonly PlannedDataset[] {
    return this.#datasets;
  }

  next(): Operation {
    const number = this.#drawn++;
    const what = this.#datasets.length < 4 ? this.#client('declare') : this.#any();
    return { ...what, number, pauseMs: this.#random.whole(0, pauseMsMax) };
  }

  #any(): ClientOperation | Fault {
    const random = this.#random;
    if (random.percent(faultShare)) return planFault(random, random.weighted<FaultKind>(faultWeights));
    return this.#client(random.weighted(clientWeights));
  }

  #client(kind: ClientKind): ClientOperation {
    const random = this.#random;
    const api = random.whole(0, 1);
    switch (kind) {
      case 'declare': {
        const living = this.#datasets.length - this.#retired.size;
        const { index: dataset } = living < livingMax ? this.#draw() : this.#dataset();
        return { kind, dataset, api };
      }
      case 'read':
        return {
          kind,
          api,
          ...this.#wanted(),
          manner: this.#manner(),
          clients: random.percent(15) ? random.whole(2, 6) : 1,
        };
      case 'head':
      case 'if-none-match':
      case 'only-if-cached':
        return { kind, api, ...this.#wanted() };
      case 'byte range':
        return { kind, api, ...this.#wanted(), from: random.whole(0, 99), share: random.whole(1, 100) };
      case 'ask later':
        this.#requests++;
        return { kind, api, ...this.#wanted(), waitSeconds: random.pick([0, 0, 1, 3]) };
      case 'look later':
      case 'cancel later':
        return { kind, api, request: random.whole(0, Math.max(0, this.#requests - 1)) };
      case 'refused':
        return { kind, api, dataset: this.#dataset().index, what: random.pick(refusals) };
      case 'evict':
      case 'plan': {
        const dataset = this.#dataset();
        return { kind, api, dataset: dataset.index, all: random.percent(40), ...this.#span(dataset) };
      }
      case 'batch': {
        this.#batches++;
        const dataset = this.#dataset();
        return { kind, api, dataset: dataset.index, ...this.#batchSpan(dataset), ...this.#batchWishes(dataset) };
      }
      case 'look at batch':
      case 'pause batch':
      case 'resume batch':
      case 'cancel batch':
        return this.#ofBatch(kind, api);
      case 'provenance': {
        const dataset = this.#dataset();
        return { kind, api, dataset: dataset.index, event: random.whole(1, dataset.events) };
      }
      case 'event ranges':
        return { kind, api, ranges: this.#eventRanges() };
      case 'pin':
        return this.#pin(api);
      case 'unpin':
        return { kind, api, dataset: this.#unpin() };
      case 'retire':
        return this.#retire(api);
      case 'list':
      case 'report':
      case 'workers':
        return { kind, api };
      default:
        return { kind, api, dataset: this.#dataset().index };
    }
  }

  #draw(): PlannedDataset {
    const random = this.#random;
    const index = this.#datasets.length;
    const named = { index, scope: 'random', name: `d${index}` };
    // Another name for the same events: their chunks are shared.
    const twin = index > 3 && random.percent(12) ? this.#dataset() : undefined;
    const input = index > 1 && random.percent(30) ? this.#inputFor() : undefined;
    const { files: _, ...events } = twin ?? {};
    const drawn = twin === undefined ? drawDataset(random, input) : (events as PlannedDataset);
    const dataset: PlannedDataset = { ...drawn, ...named };
    this.#datasets.push(dataset);
    this.#drawnAt.push(this.#drawn);
    return dataset;
  }

  #isNew(index: number): boolean {
    return this.#drawn - (this.#drawnAt[index] ?? 0) < newFor;
  }

  /** Undefined where nothing can read what was picked. */
  #inputFor(): PlannedDataset | undefined {
    const input = this.#dataset();
    const isInTheWay = this.#retired.has(input.index) || this.#depth(input) >= inputsMax;
    return isInTheWay || readerOf(input) === undefined ? undefined : input;
  }

  #depth({ input }: PlannedDataset): number {
    return input === undefined ? 1 : 1 + this.#depth(this.#datasets[input] as PlannedDataset);
  }

  /** A dataset that is, as far as the sequence knows, not retired; now and then any. */
  #dataset(): PlannedDataset {
    const living = this.#datasets.filter(({ index }) => !this.#retired.has(index));
    return this.#random.pick(living.length === 0 || this.#random.percent(3) ? this.#datasets : living);
  }

  #wanted(): Wanted {
    const dataset = this.#dataset();
    const format = this.#random.pick<FormatAsked>(['arrow', 'arrow', 'ndjson']);
    const columns = this.#random.percent(40) ? { columns: this.#random.next() } : {};
    return { dataset: dataset.index, ...this.#span(dataset), format, ...columns };
  }

  /** All of it, some chunks, or any events. */
  #span({ events, chunkEvents }: PlannedDataset): Span {
    const random = this.#random;
    if (random.percent(20)) return { startEvent: 1, lastEvent: events };
    const startEvent = random.whole(1, events);
    const most = Math.min(events - startEvent, random.pick([0, 10, chunkEvents, 3 * chunkEvents, events]));
    return { startEvent, lastEvent: startEvent + random.whole(0, most) };
  }

  #manner(): Manner {
    const random = this.#random;
    const kind = random.weighted({ whole: 75, leaving: 12, slow: 13 });
    if (kind === 'leaving') return { kind, afterBytes: random.pick([0, 1, 1000, 30_000, 300_000]) };
    if (kind === 'slow') return { kind, pauseMs: random.whole(10, 200), pauses: random.whole(1, 15) };
    return { kind };
  }

  /** A batch holds what it has until it ends: more than the store takes would be in everybody's way for ever. */
  #batchSpan(dataset: PlannedDataset): Span {
    const { startEvent, lastEvent } = this.#span(dataset);
    const eventsMax = Math.floor(batchRawBytesMax / rawBytesOf(dataset, this.#datasets));
    return { startEvent, lastEvent: Math.min(lastEvent, startEvent + eventsMax) };
  }

  /** Of one of the latest, mostly: the others have ended. For the same reason only a few are paused at a time. */
  #ofBatch(kind: 'look at batch' | 'pause batch' | 'resume batch' | 'cancel batch', api: number): ClientOperation {
    const random = this.#random;
    const batch = Math.max(0, this.#batches - 1 - random.pick([0, 0, 0, 1, 2, random.whole(0, 20)]));
    const [oldest] = this.#paused;
    if (kind === 'pause batch' && oldest !== undefined && this.#paused.size >= pausedMax) {
      this.#paused.delete(oldest);
      return { kind: 'resume batch', api, batch: oldest };
    }
    if (kind === 'pause batch') this.#paused.add(batch);
    else if (kind !== 'look at batch') this.#paused.delete(batch);
    return { kind, api, batch };
  }

  #batchWishes(dataset: PlannedDataset): BatchWishes {
    const random = this.#random;
    const budget = random.percent(15) ? { budgetCpuSeconds: random.pick([1e-6, 0.05, 100]) } : {};
    const pin = random.percent(10) && this.#mayBePinned(dataset);
    if (pin) this.#pinned.add(dataset.index);
    return { priority: random.whole(0, 9), hold: random.pick([0, 0, 2]), pin, ...budget };
  }

  #eventRanges(): (Span & { dataset: number })[] {
    return Array.from({ length: this.#random.whole(1, 4) }, () => {
      const dataset = this.#dataset();
      return { dataset: dataset.index, ...this.#span(dataset) };
    });
  }

  #mayBePinned(dataset: PlannedDataset): boolean {
    if (this.#pinned.size >= pinnedMax || this.#pinned.has(dataset.index)) return false;
    return rawBytesOf(dataset, this.#datasets) * dataset.events <= pinnedRawBytesMax;
  }

  #pin(api: number): ClientOperation {
    const small = this.#datasets.filter((dataset) => this.#mayBePinned(dataset));
    if (small.length === 0) return { kind: 'unpin', api, dataset: this.#unpin() };
    const { index: dataset } = this.#random.pick(small);
    this.#pinned.add(dataset);
    return { kind: 'pin', api, dataset };
  }

  #unpin(): number {
    const index = this.#pinned.size === 0 ? this.#dataset().index : this.#random.pick([...this.#pinned]);
    this.#pinned.delete(index);
    return index;
  }

  #retire(api: number): ClientOperation {
    const { index: dataset } = this.#dataset();
    // Enough must be left to do something with; and what has just been drawn to read it can still be declared.
    const isNeeded = this.#datasets.some(({ input, index }) => input === dataset && this.#isNew(index));
    if (isNeeded || this.#datasets.length - this.#retired.size <= livingMin) return { kind: 'show', api, dataset };
    this.#retired.add(dataset);
    return { kind: 'retire', api, dataset };
  }
}
