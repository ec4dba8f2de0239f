// Time that passes when a test says so.
import type { Time } from '../../scheduler/time.ts';

interface Alarm {
  readonly atMs: number;
  readonly act: () => void;
}

export class ManualTime implements Time {
  #nowMs = 1_700_000_000_000;
  readonly #alarms = new Set<Alarm>();

  now(): number {
    return this.#nowMs;
  }

  after(ms: number, act: () => void): () => void {
    const alarm = { atMs: this.#nowMs + ms, act };
    this.#alarms.add(alarm);
    return () => this.#alarms.delete(alarm);
  }

  /** Alarms that are set. */
  get alarms(): number {
    return this.#alarms.size;
  }

  /** Lets `ms` pass, in order, with everything that follows from each alarm. */
  async pass(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms;
    await settle();
    for (;;) {
      const [due] = [...this.#alarms].filter((alarm) => alarm.atMs <= untilMs).sort((a, b) => a.atMs - b.atMs);
      if (due === undefined) break;
      this.#alarms.delete(due);
      this.#nowMs = Math.max(this.#nowMs, due.atMs);
      due.act();
      await settle();
    }
    this.#nowMs = untilMs;
  }
}

/** Everything that only waits for promises has happened. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve));
}
