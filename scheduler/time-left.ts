// How long the rest of some work will take, from how quickly chunks came lately; nothing until there is something to go by.
// Chunks that were stored already say nothing about those that must be made, so only chunks that had to be waited for count.
import type { Clock } from '../core/clock.ts';

interface Sample {
  readonly atMs: number;
  readonly landings: number;
}

/** Of how long the rate is, unless fewer chunks than this came in that time: then of so many chunks. */
const overMs = 60_000;
const landingsMin = 8;
/** Samples this far apart: together they reach back over a minute. */
const sampleMs = 1_000;
const samplesMax = 64;
/** Two chunks begun at the same time say the same. */
const landingsEnough = 2;

export class TimeLeft {
  readonly #clock: Clock;
  /** Seconds per chunk as known from before a pause or a restart. */
  readonly #before: number | undefined;
  readonly #samples: Sample[];

  /** `before` is what was estimated for so many chunks when the work was interrupted. */
  constructor(clock: Clock, before?: { readonly secondsLeft: number | undefined; readonly chunksLeft: number }) {
    this.#clock = clock;
    const { secondsLeft, chunksLeft = 0 } = before ?? {};
    this.#before = secondsLeft === undefined || chunksLeft === 0 ? undefined : secondsLeft / chunksLeft;
    this.#samples = [{ atMs: clock.now(), landings: 0 }];
  }

  /** So many chunks have come since this was made. */
  landed(landings: number): void {
    const now = this.#clock.now();
    const last = this.#samples.at(-1);
    if (last === undefined || landings <= last.landings || now - last.atMs < sampleMs) return;
    this.#samples.push({ atMs: now, landings });
    if (this.#samples.length > samplesMax) this.#samples.shift();
  }

  /** Whole seconds for so many chunks more, of which `landings` have come since this was made. */
  seconds(chunksLeft: number, landings: number): number | undefined {
    const perChunk = this.#secondsPerChunk(landings) ?? this.#before;
    return perChunk === undefined ? undefined : Math.ceil(perChunk * chunksLeft);
  }

  #secondsPerChunk(landings: number): number | undefined {
    const now = this.#clock.now();
    const since =
      this.#samples.find(({ atMs, landings: then }, i) => {
        const next = this.#samples[i + 1];
        const nextIsFewer = next === undefined || landings - next.landings < landingsMin;
        return (now - atMs <= overMs || nextIsFewer) && landings > then;
      }) ?? this.#samples[0];
    if (since === undefined || landings - since.landings < landingsEnough) return undefined;
    return (now - since.atMs) / 1000 / (landings - since.landings);
  }
}
