// Asynchronous requests: events that a client asked for and will fetch later. What was asked is written down once, and so is
// how it ended; between the two there is only a word on the board, and whoever goes on without it loses nothing.
import type { ErrorCode, ErrorDetails } from './errors.ts';
import type { EventRange } from './event-range.ts';
import type { Tally } from './work-state.ts';

export interface EventsRequest {
  /** The Request-Id of the request that was accepted. */
  readonly id: string;
  /** `scope:name` */
  readonly dataset: string;
  /** Event indices. */
  readonly range: EventRange;
  /** How many chunks the range touches. */
  readonly chunks: number;
  /** Where the events are, in the format and columns asked for: a path and query. */
  readonly result: string;
  readonly acceptedAt: string;
}

/** Why it failed: an error of the catalogue, as data. */
export interface Failure {
  readonly code: ErrorCode;
  readonly details: ErrorDetails;
}

export interface EventsRequestEnd extends Tally {
  readonly state: 'completed' | 'cancelled' | 'failed';
  readonly failure?: Failure;
  readonly endedAt: string;
}

/** The word on the board while it is under way. */
export interface EventsRequestWord extends Tally {
  readonly state: 'running';
  readonly estimatedSecondsLeft?: number;
  /** When it was said; RFC 3339. */
  readonly at: string;
  /** The process that said it has stopped: nobody is at work. */
  readonly left?: boolean;
}
