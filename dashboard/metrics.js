// Reads the few lines of /metrics that the page shows.

/**
 * What a metric's lines say, added up by the value of one label. Undefined where the service leaves the metric out,
 * because nobody could tell at that moment.
 * @param {string} text in Prometheus' format
 * @param {string} name
 * @param {string} [label]
 * @returns {Map<string, number> | undefined}
 */
export function metric(text, name, label) {
  /** @type {Map<string, number>} */
  const sums = new Map();
  for (const line of text.split('\n')) {
    if (!line.startsWith(name)) continue;
    const match = /^(?:\{(.*)\})? ([^ ]+)/.exec(line.slice(name.length));
    const value = Number(match?.[2]);
    if (match === null || !Number.isFinite(value)) continue;
    const key = label === undefined ? '' : (new RegExp(`(?:^|,)${label}="([^"]*)"`).exec(match[1] ?? '')?.[1] ?? '');
    sums.set(key, (sums.get(key) ?? 0) + value);
  }
  return sums.size === 0 ? undefined : sums;
}

/**
 * @typedef {object} Counts
 * @property {number} hit chunks that were stored when they were asked for
 * @property {number} joined chunks that somebody else was waiting for
 * @property {number} generated chunks that were made for a request
 * @property {number | undefined} queued
 * @property {number | undefined} generating
 * @property {number | undefined} workers
 * @property {number | undefined} busy threads
 * @property {number | undefined} threads
 * @property {number | undefined} storedBytes
 * @property {number | undefined} capacityBytes
 */

/**
 * @param {string} text
 * @returns {Counts}
 */
export function countsOf(text) {
  const chunks = metric(text, 'evoke_chunks_requested_total', 'means');
  const queue = metric(text, 'evoke_queue_chunks', 'state');
  const threads = metric(text, 'evoke_worker_threads', 'state');
  const busy = threads?.get('busy');
  return {
    hit: chunks?.get('hit') ?? 0,
    joined: chunks?.get('joined') ?? 0,
    generated: chunks?.get('generated') ?? 0,
    queued: queue?.get('queued'),
    generating: queue?.get('generating'),
    workers: metric(text, 'evoke_workers')?.get(''),
    busy,
    threads: busy === undefined ? undefined : busy + (threads?.get('idle') ?? 0),
    storedBytes: metric(text, 'evoke_store_bytes', 'kind')?.get('stored'),
    capacityBytes: metric(text, 'evoke_store_capacity_bytes')?.get(''),
  };
}

/**
 * How much a counter grew between two looks; one that was begun anew counts from nothing.
 * @param {number} before
 * @param {number} now
 */
export const growth = (before, now) => (now >= before ? now - before : now);
