// What the leading scheduler does for the ledger: the hours that are over are merged into few segments, and what a killed
// process could not tell any more is told from the store. Both are harmless when done twice or by two at once; what fails
// is tried again next time.
import { messageOf } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import type { LivingProcess } from '../queue/processes.ts';
import { elapsed, type Time } from './time.ts';

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
/** Every ten minutes, whatever happens. Counted in rounds: a clock that is set changes nothing. */
const walkRounds = 20;

export class Bookkeeping {
  /** For the heartbeat: entries that killed processes had not written, and CPU of chunks under way, as they last said. */
  readonly counters = { ledgerLostWithProcesses: 0, cpuSecondsLostWithProcesses: 0 };
  readonly #parts: BookkeepingParts;
  /** Rounds until it is due. */
  #reconcileIn = 0;
  #compactIn = 0;

  constructor(parts: BookkeepingParts) {
    this.#parts = parts;
  }

  /** Looks after the ledger until aborted. Never rejects. */
  async keep(signal: AbortSignal): Promise<void> {
    // Who died while another led, nobody knows.
    this.#reconcileIn = this.#marginRounds;
    this.#compactIn = this.#marginRounds;
    while (!signal.aborted) {
      await this.#round(signal);
      await elapsed(this.#parts.time, roundMs, signal);
    }
  }

  get #marginRounds(): number {
    return Math.ceil(this.#parts.marginMs / roundMs);
  }

  async #round(signal: AbortSignal): Promise<void> {
    const { compact, reconcile } = this.#parts;
    if (await this.#somebodyDied()) this.#reconcileIn = Math.min(this.#reconcileIn, this.#marginRounds);
    if (this.#reconcileIn-- <= 0) {
      this.#reconcileIn = walkRounds - 1;
      await this.#attempt('reconcile the ledger with the store', signal, reconcile);
    }
    if (this.#compactIn-- > 0) return;
    const report = await this.#attempt('merge segments of the ledger', signal, compact);
    this.#compactIn = report?.isComplete === false ? 0 : walkRounds - 1;
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
