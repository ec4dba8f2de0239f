// Time with an alarm clock: what waits here can be hurried along by a test.
import type { Bell } from '../core/bell.ts';
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

/** Waits; less when one of the signals is aborted first. Never rejects. */
export function elapsed(time: Time, ms: number, ...signals: readonly AbortSignal[]): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      cancel();
      for (const signal of signals) signal.removeEventListener('abort', end);
      resolve();
    };
    const cancel = time.after(ms, end);
    for (const signal of signals) signal.addEventListener('abort', end, { once: true });
    if (signals.some((signal) => signal.aborted)) end();
  });
}

/** Waits; less when a ring of the bell finds it over. The end rings the bell, too. Never rejects. */
export async function unlessOver(time: Time, ms: number, bell: Bell, isOver: () => boolean): Promise<void> {
  let passed = false;
  const cancel = time.after(ms, () => {
    passed = true;
    bell.ring();
  });
  while (!passed && !isOver()) await bell.next();
  cancel();
}
