// A generating thread: makes one chunk at a time, record batch by record batch, and hands the encoded stream over without
// a copy. It knows neither queue nor store.
import { LRUCache } from 'lru-cache';
import { move, transferableSymbol, valueSymbol, workerData } from 'piscina';
import { batchesOf, type ChunkRef } from '../core/chunk.ts';
import { systemClock, timestamp } from '../core/clock.ts';
import type { Column } from '../core/columns.ts';
import type { Derivation } from '../core/derivation.ts';
import { EvokeError, messageOf } from '../core/errors.ts';
import { eventNumber } from '../core/event-range.ts';
import type { Provenance } from '../core/provenance.ts';
import { arrowWriter, ChunkWriter } from '../formats/arrow-writer.ts';
import { sealChunk } from '../formats/chunk-file.ts';
import type { EventMaker } from '../generators/generator.ts';
import { philoxOf } from '../generators/philox.ts';
import type { GeneratorRegistry } from '../generators/registry.ts';
import type { ChunkMade, ChunkNotMade, ChunkTask, Spent, ThreadSetup } from './task.ts';
import { TaskWatch } from './watch.ts';

/** A maker holds its generator's tables; chunks of one dataset come one after another. */
const makersMax = 8;
const makers = new LRUCache<string, { maker: EventMaker; columns: readonly Column[] }>({ max: makersMax });

const { generators } = workerData as ThreadSetup;
// A module that does not load is told with the first task: a thread that fails to start would be started again for ever.
const registry: GeneratorRegistry | Error = await import(generators).then(
  (module: { builtInGenerators: GeneratorRegistry }) => module.builtInGenerators,
  (error: unknown) => new Error(`The generators of ${generators} do not load: ${messageOf(error)}`),
);

/** Piscina's entry. CPU is this thread's own, from the first table to the last byte. */
export default function makeChunk(task: ChunkTask): unknown {
  const cpu = process.threadCpuUsage();
  const begun = performance.now();
  const cpuSeconds = () => {
    const { user, system } = process.threadCpuUsage(cpu);
    return (user + system) / 1e6;
  };
  const spent = (): Spent => ({ cpuSeconds: cpuSeconds(), wallSeconds: (performance.now() - begun) / 1000 });
  const notMade = (why: Omit<ChunkNotMade, keyof Spent>): ChunkNotMade => ({ ...why, ...spent() });
  try {
    const watch = new TaskWatch(task.watch);
    const { maker, columns } = makerOf(task.derivation, task.chunk);
    const writer = new ChunkWriter(task.chunk, columns);
    for (const batch of batchesOf(task.chunk)) {
      if (watch.isToStop) return notMade({ state: 'cancelled', detail: 'asked to stop' });
      writer.add(maker.make(batch));
      watch.cpuSeconds = cpuSeconds();
    }
    const { stream, digest, hash } = writer.finish();
    const made = { digest, generatedAt: timestamp(systemClock), ...spent() };
    // Sealed here: the hash need not take the stream in again.
    const sealed = sealChunk(stream, provenanceOf(task, made), hash);
    const result: ChunkMade = { state: 'made', sealed, ...made };
    // Piscina posts the value and transfers the stream's memory.
    return move({ [transferableSymbol]: [stream.buffer], [valueSymbol]: result });
  } catch (error) {
    // A maker that failed may be half-way through something: the next chunk gets a new one.
    makers.delete(task.chunk.derivation);
    if (!(error instanceof EvokeError && error.code === 'GENERATION_FAILED')) {
      return notMade({ state: 'crashed', detail: messageOf(error) });
    }
    const event = error.details['event'];
    return notMade({ state: 'failed', detail: error.message, ...(typeof event === 'number' ? { event } : {}) });
  }
}

function makerOf(derivation: Derivation, chunk: ChunkRef): { maker: EventMaker; columns: readonly Column[] } {
  const known = makers.get(chunk.derivation);
  if (known !== undefined) return known;
  if (registry instanceof Error) throw registry;
  const generator = registry.get(derivation.generator, derivation.version);
  const maker = generator.prepare(derivation.parameters, philoxOf(chunk.derivation));
  const prepared = { maker, columns: generator.columns };
  makers.set(chunk.derivation, prepared);
  return prepared;
}

function provenanceOf(
  { derivation, chunk, origin }: ChunkTask,
  made: Pick<Provenance, 'digest' | 'generatedAt' | keyof Spent>,
): Provenance {
  const { node, v8 } = process.versions;
  return {
    derivation,
    derivationId: chunk.derivation,
    startEvent: eventNumber(chunk.range.first),
    lastEvent: chunk.range.end,
    batchEvents: chunk.batchEvents,
    writer: arrowWriter,
    runtime: { node, v8, arch: process.arch, platform: process.platform },
    ...origin,
    ...made,
  };
}
