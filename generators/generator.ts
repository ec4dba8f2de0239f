// The contract every generator keeps. Event i is a pure function of (derivation, i): never of the range it is
// made in, of chunk size, thread, worker, order, time or machine.
import type { z } from 'zod';
import type { Column, EventColumns } from '../core/columns.ts';
import type { Reproducibility } from '../core/dataset.ts';
import type { JsonObject } from '../core/derivation.ts';
import type { EventRange } from '../core/event-range.ts';
import type { Philox } from './philox.ts';

/** What one event costs on average, stated from measurement; sizes the chunk grid and the first cost estimates. */
export interface EventCost {
  readonly cpuSeconds: number;
  /** Bytes in memory, before compression. */
  readonly rawBytes: number;
  /** Of an event with generated particles (particles.ts): what simulating them takes rests on these. */
  readonly particles?: ParticleNumbers;
}

/** Means of an event. */
export interface ParticleNumbers {
  readonly count: number;
  /** Of them, those that shower in a calorimeter. */
  readonly showering: number;
  /** GeV that each of the latter has. */
  readonly energy: number;
}

/** A cross section in picobarn, with its (numerical) error. */
export interface CrossSection {
  readonly value: number;
  readonly error: number;
  readonly unit: 'pb';
}

/** Makes events of one derivation. Tables are built once, when the maker is prepared. */
export interface EventMaker {
  /**
   * Events [first, end) as columns; throws EvokeError GENERATION_FAILED with `event` when one cannot be made. `input`: the
   * same events of the input, as they are after rounding to their declared types; given to generators that read one.
   */
  make(range: EventRange, input?: EventColumns): EventColumns;
}

export interface Generator<P extends JsonObject = JsonObject> {
  readonly name: string;
  /** Changes whenever any bit of any event would. */
  readonly version: string;
  /** One line. */
  readonly description: string;
  /** A strict object; every parameter has a default, a description with its unit, and bounds within which it works. */
  readonly parameters: z.ZodType<P>;
  /** In the order of the record. */
  readonly columns: readonly Column[];
  readonly reproducibility: Reproducibility;
  /** Whether it reads another dataset's events. */
  readonly input: 'none' | 'required';
  /** Columns that the input must have. */
  readonly inputColumns?: readonly string[];
  /** Its own, without what making the input takes. `input`: the cost of an input event, where it reads one. */
  cost(parameters: P, input?: EventCost): EventCost;
  /** Where the process has one. */
  crossSection?(parameters: P): CrossSection;
  /** `random` is keyed by the derivation already. */
  prepare(parameters: P, random: Philox): EventMaker;
}
