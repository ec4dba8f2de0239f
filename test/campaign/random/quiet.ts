// An api that nobody asks anything has nothing left of what it was asked: no order, no buffer, no task, no list.
import { setTimeout as pause } from 'node:timers/promises';
import { exchange } from './client.ts';
import type { Stage } from './perform.ts';

/** Gauges of /metrics that come to rest at 0. */
const restless = [
  'evoke_flights',
  'evoke_window_bytes',
  'evoke_marshal_tasks',
  'evoke_async_requests',
  'evoke_ahead_lists',
  'evoke_streams',
  'evoke_queue_chunks',
];
const restMsMax = 60_000;
const lookMs = 500;

/** What does not come to rest, in words. */
export async function unrest(stage: Stage): Promise<string[]> {
  const deadline = Date.now() + restMsMax;
  for (;;) {
    const left = (await Promise.all([0, 1].map((api) => stillMoving(stage.url(api))))).flat();
    if (left.length === 0) return [];
    if (Date.now() > deadline) return left.map((line) => `An api does not come to rest: ${line}`);
    await pause(lookMs);
  }
}

async function stillMoving(url: string): Promise<string[]> {
  const outcome = await exchange(`${url}/metrics`);
  if (outcome.kind !== 'answered' || outcome.status !== 200) return [`${url}/metrics does not answer`];
  return gaugesNotZero(outcome.body.toString('utf8'));
}

/** Lines of the gauges above that are not at 0, and the names of those that are not told at all. */
export function gaugesNotZero(metrics: string): string[] {
  const lines = metrics.split('\n').filter((line) => !line.startsWith('#'));
  return restless.flatMap((name) => {
    const own = lines.filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`));
    if (own.length === 0) return [`${name} is not told`];
    return own.filter((line) => !/ 0$/.test(line));
  });
}
