// Encodes segments without keeping the event loop: a few entries at once, many in a thread, to which they are handed
// in slices. The thread starts when there is something for it and ends when there has been nothing for a while.
import { setImmediate } from 'node:timers/promises';
import { Piscina } from 'piscina';
import { messageOf } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import { EntryPacker, type PackedEntries } from './pack.ts';
import { encodeSegment, originOfRow, type SegmentContent } from './segment.ts';
import type { EncodeTask } from './thread.ts';

/** So few take two milliseconds or so; a thread takes fifty to start, and memory while it lives. */
const atOnceRows = 256;
/** Entries packed between two turns of the event loop: about half a millisecond. */
const sliceRows = 2048;
const idleMs = 30_000;

export class SegmentEncoder {
  readonly #log: Log;
  #pool: Piscina<EncodeTask, Uint8Array<ArrayBuffer>> | undefined;
  #isClosed = false;

  constructor(log: Log) {
    this.#log = log;
  }

  /** The segment's file. One at a time; nobody changes the entries meanwhile. Rejects only when it is closed. */
  async encode(content: SegmentContent): Promise<Buffer> {
    if (content.entries.length <= atOnceRows) return encodeSegment(content);
    try {
      return await this.#inThread(content);
    } catch (error) {
      if (this.#isClosed) throw error;
      // Better late than lost.
      this.#log.warn({ error: messageOf(error) }, 'the thread that encodes the ledger failed; encoding without it');
      return encodeSegment(content);
    }
  }

  /** Gives up what is being encoded. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#pool?.destroy();
    this.#pool = undefined;
  }

  async #inThread(content: SegmentContent): Promise<Buffer> {
    const packed = await pack(content);
    this.#pool ??= new Piscina<EncodeTask, Uint8Array<ArrayBuffer>>({
      filename: new URL('./thread.ts', import.meta.url).href,
      minThreads: 0,
      maxThreads: 1,
      idleTimeout: idleMs,
      // As in the workers' pool: a thread told to end just as it begins to wait on shared memory never ends.
      atomics: 'disabled',
    });
    const file = await this.#pool.run(
      { packed, covers: content.covers },
      { transferList: [packed.numbers.buffer, packed.places.buffer] },
    );
    return Buffer.from(file.buffer, file.byteOffset, file.byteLength);
  }
}

async function pack({ entries, origins }: SegmentContent): Promise<PackedEntries> {
  const packer = new EntryPacker(entries.length);
  for (const [at, entry] of entries.entries()) {
    packer.add(entry, originOfRow(origins, at));
    if ((at + 1) % sliceRows === 0) await setImmediate();
  }
  return packer.finish();
}
