// Where the progress of batches is told: on the board for whoever watches, in the store for whoever goes on. What the store
// does not take is kept, the latest word of each batch, and tried again. An end is never overwritten: a scheduler that was
// suspended, and does not know yet that another leads, must not wake a batch that is over.
import type { BatchProgress } from '../core/batch.ts';
import { messageOf } from '../core/errors.ts';
import { type Log, Sparing } from '../core/log.ts';
import { isFinal } from '../core/work-state.ts';
import type { Board } from '../queue/board.ts';
import type { Batches } from '../store/batches.ts';

/** Longer than a leader needs to be replaced; what is over is told by the store. */
const shownSeconds = 60;
const errorLineMs = 30_000;

export class BatchWriter {
  readonly #batches: Pick<Batches, 'find' | 'progress'>;
  readonly #board: Pick<Board, 'publish'>;
  readonly #log: Log;
  readonly #unsaved = new Map<string, BatchProgress>();
  readonly #errors = new Sparing(errorLineMs);
  /** One after another, so that an older word never comes after a newer. */
  #turn: Promise<void> = Promise.resolve();

  constructor(options: { batches: Pick<Batches, 'find' | 'progress'>; board: Pick<Board, 'publish'>; log: Log }) {
    this.#batches = options.batches;
    this.#board = options.board;
    this.#log = options.log;
  }

  /** A hint for whoever watches: while Redis is away, nobody is told. Never rejects. */
  async show(id: string, progress: BatchProgress): Promise<void> {
    await this.#board.publish('batch', id, progress, shownSeconds).catch(() => undefined);
  }

  /** Never rejects: what cannot be saved now is saved by `saveLeft`. */
  save(id: string, progress: BatchProgress): Promise<void> {
    this.#unsaved.set(id, progress);
    return this.#inTurn(id);
  }

  /** Tries again what the store did not take. Never rejects. */
  async saveLeft(): Promise<void> {
    await Promise.all([...this.#unsaved.keys()].map((id) => this.#inTurn(id)));
  }

  #inTurn(id: string): Promise<void> {
    this.#turn = this.#turn.then(() => this.#trySave(id));
    return this.#turn;
  }

  async #trySave(id: string): Promise<void> {
    const progress = this.#unsaved.get(id);
    if (progress === undefined) return;
    try {
      const stored = (await this.#batches.find(id))?.progress;
      if (stored === undefined || !isFinal(stored.state)) await this.#batches.progress(id, progress);
      if (this.#unsaved.get(id) === progress) this.#unsaved.delete(id);
    } catch (error) {
      this.#errors.tell(() => {
        this.#log.warn({ batch: id, error: messageOf(error) }, 'the progress of a batch could not be saved');
      });
    }
  }
}
