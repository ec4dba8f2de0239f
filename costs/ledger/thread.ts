// Entry of the thread that encodes segments: the file's bytes are moved, not copied.
import { move, transferableSymbol, valueSymbol } from 'piscina';
import { type PackedEntries, unpackEntries } from './pack.ts';
import { encodeSegment } from './segment.ts';

/** What crosses to the thread; the arrays of `packed` are moved. */
export interface EncodeTask {
  readonly packed: PackedEntries;
  readonly covers: string | undefined;
}

export default function run({ packed, covers }: EncodeTask) {
  const file = encodeSegment({ ...unpackEntries(packed), covers });
  return move({ [transferableSymbol]: [file.buffer], [valueSymbol]: file });
}
