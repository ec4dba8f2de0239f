// The door of the client: what programs import. Everything else in this folder may change.

export { EvokeError } from '../core/errors.ts';
export type { Download, DownloadFormat } from './download.ts';
export { ConnectionError, ServiceError, WrongAnswerError } from './errors.ts';
export { type BatchColumn, type ColumnValues, EventBatch } from './event-batch.ts';
export { type CallOptions, type DownloadOptions, type EventsOptions, Evoke, type EvokeOptions } from './evoke.ts';
export type { BatchOrder, Declaration } from './http.ts';
export { type Prefetched, type PrefetchOptions, prefetch } from './prefetch.ts';
export { MalformedRangesError, type PandaRange, type PandaRangeList, readRangeLists } from './prefetch-ranges.ts';
export type { RetryPolicy } from './retries.ts';
export type * from './shapes.ts';
export type { Progress } from './transfer.ts';
