// Whether an order is one: its key, its chunk, its derivation and all that this is derived from belong together. Bytes under a
// wrong name would be worse than no bytes, and an order comes from a queue that others write to.
import { chunkKey, parseChunkKey } from '../core/chunk.ts';
import { chainLinksMax, derivationsOf } from '../core/dataset.ts';
import { derivationId } from '../core/derivation.ts';
import { EvokeError } from '../core/errors.ts';
import type { ChunkJob } from '../queue/job.ts';

/** Of the inputs, as JSON. They go into the chunk's trailer, which is read in one piece of 64 KiB. */
const inputsCharsMax = 40_000;

/** @throws EvokeError INTERNAL */
export function checkOrder(order: ChunkJob): void {
  const { key, chunk, derivation, inputs = [] } = order;
  const { first, end } = chunk.range;
  // A key that reads is one of whole numbers.
  const isNamed = chunkKey(chunk) === key && chunkKey(parseChunkKey(key)) === key && 0 <= first && first < end;
  if (!isNamed || derivationId(derivation) !== chunk.derivation) {
    throw refused(key, 'describes another chunk');
  }
  if (inputs.length > chainLinksMax || JSON.stringify(inputs).length > inputsCharsMax) {
    throw refused(key, 'has more inputs than there can be');
  }
  for (const [link, { input }] of derivationsOf({ derivation, inputs }).entries()) {
    if (input !== inputs[link]?.derivationId) throw refused(key, 'does not say what it is derived from');
  }
  for (const input of inputs) {
    const isItself = derivationId(input.derivation) === input.derivationId;
    const isCut = [input.events, input.chunkEvents, input.batchEvents].every((n) => Number.isSafeInteger(n) && n > 0);
    if (!isItself || !isCut || input.events < chunk.range.end) throw refused(key, 'describes another input');
  }
}

function refused(key: string, what: string): EvokeError {
  return new EvokeError('INTERNAL', { detail: `The order for ${key} ${what}.` });
}
