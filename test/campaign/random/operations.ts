// What may be done in a campaign, and the datasets it is done with: plain data.
import type { JsonObject } from '../../../core/derivation.ts';
import type { Fault } from './fault-plan.ts';

/** A dataset as it is to be declared; datasets are called by their place in the order of their drawing. */
export interface PlannedDataset {
  readonly index: number;
  readonly scope: string;
  readonly name: string;
  readonly generator: string;
  readonly parameters: JsonObject;
  readonly seed: number;
  readonly events: number;
  readonly chunkEvents: number;
  /** Another dataset, which it reads. */
  readonly input?: number;
  readonly files?: { readonly eventsPerFile: number; readonly lfn: string };
}

/** Event numbers, both included. */
export interface Span {
  readonly startEvent: number;
  readonly lastEvent: number;
}

export type FormatAsked = 'arrow' | 'ndjson';

/** How a client takes what it asked for. */
export type Manner =
  | { readonly kind: 'whole' }
  /** Goes away after so many bytes. */
  | { readonly kind: 'leaving'; readonly afterBytes: number }
  /** Takes one piece, and then nothing for a while, for so long; then the rest at once. */
  | { readonly kind: 'slow'; readonly pauseMs: number; readonly pauses: number };

export interface Wanted extends Span {
  readonly dataset: number;
  readonly format: FormatAsked;
  /** Share of the columns, picked by this number; all unless said. */
  readonly columns?: number;
}

/** Which of the apis is asked; never the same for all clients of a burst. */
interface Asked {
  readonly api: number;
}

interface OfDataset {
  readonly dataset: number;
}

/** Of several kinds that say the same, each its own. */
type Each<K, T> = K extends string ? Readonly<T> & { readonly kind: K } : never;

export type ClientOperation =
  | Each<'declare' | 'declare again' | 'declare otherwise', Asked & OfDataset>
  | Each<'read', Asked & Wanted & { manner: Manner; clients: number }>
  | Each<'head' | 'if-none-match' | 'only-if-cached', Asked & Wanted>
  | Each<'byte range', Asked & Wanted & { from: number; share: number }>
  | Each<'ask later', Asked & Wanted & { waitSeconds: number }>
  | Each<'look later' | 'cancel later', Asked & { request: number }>
  | Each<'refused', Asked & OfDataset & { what: Refused }>
  | Each<'evict' | 'plan', Asked & OfDataset & Span & { all: boolean }>
  | Each<'pin' | 'unpin' | 'retire' | 'show' | 'materialization', Asked & OfDataset>
  | Each<'list' | 'report' | 'workers', Asked>
  | Each<'provenance', Asked & OfDataset & { event: number }>
  | Each<'batch', Asked & OfDataset & Span & BatchWishes>
  | Each<'look at batch' | 'pause batch' | 'resume batch' | 'cancel batch', Asked & { batch: number }>
  | Each<'event ranges', Asked & { ranges: readonly (Span & OfDataset)[] }>;

export type OperationOf<K extends ClientKind> = Extract<ClientOperation, { kind: K }>;

export interface BatchWishes {
  readonly priority: number;
  readonly hold: number;
  readonly pin: boolean;
  readonly budgetCpuSeconds?: number;
}

/** What no service can give, whatever its state. */
export type Refused = 'beyond' | 'backwards' | 'column' | 'format' | 'nobody' | 'name';

export type ClientKind = ClientOperation['kind'];
export type Operation = (ClientOperation | Fault) & {
  readonly number: number;
  /** Until the next one may begin. */
  readonly pauseMs: number;
};
