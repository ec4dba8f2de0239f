// How a dataset is drawn: mostly small, because a campaign is many requests and not much of any.
import type { JsonObject } from '../../../core/derivation.ts';
import type { EventCost } from '../../../generators/generator.ts';
import { builtInGenerators as registry } from './generators.ts';
import type { PlannedDataset } from './operations.ts';
import type { Prng } from './prng.ts';

/** What is derived may cost many times its input. */
const derivedEventsMax = 800;
const derivedChunkEventsMax = 128;

/** `input`: to be read by it, where there is a generator that can. */
export function drawDataset(
  random: Prng,
  input: PlannedDataset | undefined,
): Omit<PlannedDataset, 'index' | 'scope' | 'name'> {
  const chunkEvents = random.pick([32, 64, 100, 128, 250, 512]);
  const eventsMax = chunkEvents * random.pick([1, 4, 10, 20]);
  const base = { seed: random.whole(0, 1_000_000), chunkEvents, ...drawFiles(random) };
  const reader = input && readerOf(input);
  if (input !== undefined && reader !== undefined) {
    const events = random.whole(1, Math.min(input.events, derivedEventsMax));
    const parameters = drawParameters(random, reader, events);
    return { ...base, ...narrowed(base), generator: reader, parameters, events, input: input.index };
  }
  const events = random.whole(1, eventsMax);
  const generator = random.weighted({ quick: 2, slow: 4, busy: 2, failing: 1, exiting: 1, minbias: 8, ee_mumu: 5 });
  return { ...base, generator, parameters: drawParameters(random, generator, events), events };
}

/** The generator that reads what this one makes, if there is one. */
export function readerOf({ generator }: PlannedDataset): string | undefined {
  const columns = registry.find(generator)?.columns.map(({ name }) => name) ?? [];
  const readers = registry.list().filter(({ input }) => input === 'required');
  return readers.find(({ inputColumns = [] }) => inputColumns.every((name) => columns.includes(name)))?.name;
}

/** Of one event, before compression. */
export function rawBytesOf(dataset: PlannedDataset, all: readonly PlannedDataset[]): number {
  return costOf(dataset, all).rawBytes;
}

function costOf({ generator, parameters, input }: PlannedDataset, all: readonly PlannedDataset[]): EventCost {
  const known = registry.find(generator);
  const read = input === undefined ? undefined : all[input];
  if (known === undefined) throw new RangeError(`${generator} is not registered.`);
  return known.cost(known.parameters.parse(parameters), read && costOf(read, all));
}

/** Events of a detector are large, and a chunk of too many of them is refused. */
function narrowed({ chunkEvents }: Pick<PlannedDataset, 'chunkEvents'>): Pick<PlannedDataset, 'chunkEvents'> {
  return { chunkEvents: Math.min(chunkEvents, derivedChunkEventsMax) };
}

function drawFiles(random: Prng): Pick<PlannedDataset, 'files'> {
  if (!random.percent(25)) return {};
  return {
    files: { eventsPerFile: random.pick([10, 64, 100, 300]), lfn: `EVNT.${random.whole(1, 1e9)}._{n:06}.pool.root` },
  };
}

function drawParameters(random: Prng, generator: string, events: number): JsonObject {
  if (generator === 'slow') return { batchMs: random.pick([20, 60, 150, 400]) };
  if (generator === 'busy') return { batchMs: random.pick([5, 20]) };
  if (generator === 'failing') return { event: random.whole(1, events) };
  // Showers of a few spots: what they cost is not what is looked for.
  if (generator === 'detsim') return { detail: random.pick([0.01, 0.05]) };
  if (generator === 'minbias') return { mean: random.pick([5, 20, 60]) };
  return {};
}
