// Awaits a condition. The bound is far beyond what a busy machine takes: only a test that fails waits that long.
import { vi } from 'vitest';

const timeoutMs = 20_000;

/** Whatever the check returns when it no longer throws. @throws what it threw last, when the time is up */
export function eventually<T>(
  check: () => T | Promise<T>,
  { timeout = timeoutMs, interval = 50 }: { timeout?: number; interval?: number } = {},
): Promise<T> {
  return vi.waitFor(check, { timeout, interval });
}
