// Leads while it has the lease and stops at once when it has not: when another took it, or Redis cannot say. With Redis
// away nobody leads, and everybody keeps trying.
import { messageOf } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import type { Time } from './time.ts';

export interface Lease {
  /** Takes or renews. Answers or throws well within a lease. */
  hold(leaseMs: number): Promise<boolean>;
  giveUp(): Promise<void>;
}

/** A dead leader is replaced within this time; asked for three times as often, so that one lost answer costs nothing. */
const leaseMs = 6_000;
const tryMs = leaseMs / 3;

export class Leader {
  readonly #lease: Lease;
  readonly #time: Time;
  readonly #log: Log;
  readonly #lead: (signal: AbortSignal) => Promise<void>;
  #cancelTimer: () => void = () => undefined;
  #round: Promise<void> = Promise.resolve();
  #reign: { readonly stop: AbortController; readonly over: Promise<void> } | undefined;
  #heldAtMs = 0;
  #stopped = false;

  /** `lead` is called with every election, and ends soon after its signal is aborted; it does not reject. */
  constructor(options: { lease: Lease; time: Time; log: Log; lead: (signal: AbortSignal) => Promise<void> }) {
    this.#lease = options.lease;
    this.#time = options.time;
    this.#log = options.log;
    this.#lead = options.lead;
  }

  get leading(): boolean {
    return this.#reign !== undefined;
  }

  start(): void {
    this.#round = this.#try();
  }

  /** Stops leading, waits until that is over, and lets others lead. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelTimer();
    await this.#round;
    if (this.#reign === undefined) return;
    await this.#depose('this process stops');
    await this.#lease.giveUp().catch(() => undefined);
  }

  async #try(): Promise<void> {
    const askedAtMs = this.#time.now();
    try {
      const held = await this.#lease.hold(leaseMs);
      // The lease ran out before it was renewed: somebody else may have led meanwhile.
      if (this.leading && this.#time.now() - this.#heldAtMs >= leaseMs) await this.#depose('the lease ran out');
      if (held) this.#begin(askedAtMs);
      else await this.#depose('another process leads');
    } catch (error) {
      await this.#depose(messageOf(error));
    }
    if (this.#stopped) return;
    this.#cancelTimer = this.#time.after(tryMs, () => {
      this.#round = this.#try();
    });
  }

  #begin(heldAtMs: number): void {
    this.#heldAtMs = heldAtMs;
    if (this.leading || this.#stopped) return;
    this.#log.info({}, 'this scheduler leads');
    const stop = new AbortController();
    this.#reign = { stop, over: this.#lead(stop.signal) };
  }

  async #depose(why: string): Promise<void> {
    const reign = this.#reign;
    if (reign === undefined) return;
    this.#log.info({ why }, 'this scheduler leads no longer');
    reign.stop.abort(new Error(why));
    await reign.over;
    this.#reign = undefined;
  }
}
