// What the leading scheduler does for the ledger: the hours that are over are merged into few segments, and what a killed
// process could not tell any more is told from the store. Both are harmless when done twice or by two at once; what fails
// is tried again next time.
import { messageOf } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import type { LivingProcess } from '../queue/processes.ts';
import { rest, type Time } from './time.ts';

export interface BookkeepingParts {
  /** costs/ledger/reconcile.ts: walks the stored chunks, once. */
  readonly reconcile: (signal: AbortSignal) => Promise<unknown>;
  /** costs/ledger/compaction.ts: one round. */
  readonly compact: (signal: AbortSignal) => Promise<{ readonly isComplete: boolean }>;
  /** Last words of those that were killed or cut off. */
  readonly processes: { takeSilent(): Promise<readonly LivingProcess[]> };
  /** After so long whoever lives has written what happened: later than that, what is missing is lost. */
  readonly marginMs: number;
  readonly time: Time;
  readonly log: Log;
}

const roundMs = 30_000;
/** Every ten minutes, whatever happens. */
const walkMs = 600_000;

export class Bookkeeping {
  /** For the heartbeat: entries that killed processes had not written, and CPU of chunks under way, as they last said. */
  readonly counters = { ledgerLostWithProcesses: 0, cpuSecondsLostWithProcesses: 0 };
  readonly #parts: BookkeepingParts;
  #reconcileAtMs = 0;
  #compactAtMs = 0;

  constructor(parts: BookkeepingParts) {
    this.#parts = parts;
  }

  /** Looks after the ledger until aborted. Never rejects. */
  async keep(signal: AbortSignal): Promise<void> {
    // Who died while another led, nobody knows.
    this.#reconcileAtMs = this.#parts.time.now() + this.#parts.marginMs;
    this.#compactAtMs = this.#reconcileAtMs;
    while (!signal.aborted) {
      await this.#round(signal);
      await rest(this.#parts.time, roundMs, signal);
    }
  }

  async #round(signal: AbortSignal): Promise<void> {
    const { compact, marginMs, reconcile, time } = this.#parts;
    if (await this.#somebodyDied()) this.#reconcileAtMs = Math.min(this.#reconcileAtMs, time.now() + marginMs);
    if (time.now() >= this.#reconcileAtMs) {
      this.#reconcileAtMs = time.now() + walkMs;
      await this.#attempt('reconcile the ledger with the store', signal, reconcile);
    }
    if (time.now() < this.#compactAtMs) return;
    const report = await this.#attempt('merge segments of the ledger', signal, compact);
    this.#compactAtMs = time.now() + (report?.isComplete === false ? roundMs : walkMs);
  }

  /** What it had not written is lost, but for the making of chunks, which they tell themselves. */
  async #somebodyDied(): Promise<boolean> {
    const silent = await this.#parts.processes.takeSilent().catch(() => []);
    for (const { role, pid, host, cpuSecondsUnderway, ledgerEntries, ledgerWritten, ledgerLost } of silent) {
      const entries = Number(ledgerEntries ?? 0) - Number(ledgerWritten ?? 0) - Number(ledgerLost ?? 0);
      const cpuSeconds = Number(cpuSecondsUnderway ?? 0);
      this.counters.ledgerLostWithProcesses += entries;
      this.counters.cpuSecondsLostWithProcesses += cpuSeconds;
      this.#parts.log.warn(
        { peer: { role, pid, host }, entries, cpuSeconds },
        'a process fell silent: so many ledger entries were not written, and so much CPU came to nothing',
      );
    }
    return silent.length > 0;
  }

  async #attempt<T>(
    what: string,
    signal: AbortSignal,
    act: (signal: AbortSignal) => Promise<T>,
  ): Promise<T | undefined> {
    try {
      signal.throwIfAborted();
      return await act(signal);
    } catch (error) {
      if (!signal.aborted) this.#parts.log.warn({ error: messageOf(error) }, `could not ${what}`);
      return undefined;
    }
  }
}
