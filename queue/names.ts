// What things are called in Redis. Everything of one service begins with `{prefix}`: the braces are a hash tag, which
// keeps all of it in one slot of a Redis Cluster, where the scripts need it.

/** One queue for all, because deduplication does not reach across queues. */
export const queueName = 'chunks';

/** The name of every job in it. */
export const jobName = 'chunk';

/** BullMQ's key prefix for a service's setting REDIS_PREFIX. */
export function keyPrefix(prefix: string): string {
  return `{${prefix}}`;
}

/** A key beside the queue's own: `{evoke}:usage:sizes`. */
export function keyOf(prefix: string, ...parts: readonly string[]): string {
  return [keyPrefix(prefix), ...parts].join(':');
}
