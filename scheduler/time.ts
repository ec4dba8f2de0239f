// Time with an alarm clock: what waits here can be hurried along by a test.
import type { Clock } from '../core/clock.ts';
import { systemClock } from '../core/clock.ts';

export interface Time extends Clock {
  /** Calls back once after `ms`, unless the returned function was called before. */
  after(ms: number, act: () => void): () => void;
}

export const systemTime: Time = {
  now: () => systemClock.now(),
  after(ms, act) {
    const timer = setTimeout(act, ms);
    return () => clearTimeout(timer);
  },
};
