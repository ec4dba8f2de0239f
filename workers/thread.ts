// A generating thread: makes one chunk at a time, record batch by record batch, and hands the encoded stream over without
// a copy. It knows neither queue nor store.
import { move, transferableSymbol, valueSymbol, workerData } from 'piscina';
import { batchesOf } from '../core/chunk.ts';
import { systemClock, timestamp } from '../core/clock.ts';
import { EvokeError, messageOf } from '../core/errors.ts';
import { eventNumber } from '../core/event-range.ts';
import type { Provenance } from '../core/provenance.ts';
import { arrowWriter, ChunkWriter } from '../formats/arrow-writer.ts';
import { sealChunk } from '../formats/chunk-file.ts';
import type { GeneratorRegistry } from '../generators/registry.ts';
import { EventChain, Makers } from './chain.ts';
import { spentOf } from './spent.ts';
import { Stopwatch } from './stopwatch.ts';
import type { ChunkMade, ChunkNotMade, ChunkTask, Spent, ThreadSetup } from './task.ts';
import { TaskWatch } from './watch.ts';

const { generators } = workerData as ThreadSetup;
// A module that does not load is told with the first task: a thread that fails to start would be started again for ever.
const makers: Makers | Error = await import(generators).then(
  (module: { builtInGenerators: GeneratorRegistry }) => new Makers(module.builtInGenerators),
  (error: unknown) => new Error(`The generators of ${generators} do not load: ${messageOf(error)}`),
);

/** Piscina's entry. CPU is this thread's own, from the first table to the last byte. */
export default function makeChunk(task: ChunkTask): unknown {
  const watch = new TaskWatch(task.watch);
  const stopwatch = new Stopwatch(watch);
  const spent = (): Spent => {
    stopwatch.look();
    return spentOf(watch, task.inputs);
  };
  const notMade = (why: Omit<ChunkNotMade, keyof Spent>): ChunkNotMade => ({ ...why, ...spent() });
  let chain: EventChain | undefined;
  try {
    if (makers instanceof Error) throw makers;
    chain = new EventChain(task, makers, watch, stopwatch);
    const writer = new ChunkWriter(task.chunk, chain.columns);
    for (const batch of batchesOf(task.chunk)) {
      const made = chain.make(batch);
      if (made === undefined) return notMade({ state: 'cancelled', detail: 'asked to stop' });
      writer.add(made);
      stopwatch.look();
    }
    const { stream, digest, hash } = writer.finish();
    const made = { digest, generatedAt: timestamp(systemClock), ...spent() };
    // Sealed here: the hash need not take the stream in again.
    const sealed = sealChunk(stream, provenanceOf(task, made), hash);
    const result: ChunkMade = { state: 'made', sealed, ...made };
    // Piscina posts the value and transfers the stream's memory.
    return move({ [transferableSymbol]: [stream.buffer], [valueSymbol]: result });
  } catch (error) {
    chain?.forget();
    if (!(error instanceof EvokeError && error.code === 'GENERATION_FAILED')) {
      return notMade({ state: 'crashed', detail: messageOf(error) });
    }
    const event = error.details['event'];
    return notMade({ state: 'failed', detail: error.message, ...(typeof event === 'number' ? { event } : {}) });
  }
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
