import { defineConfig } from 'vitest/config';

/** The long tests, one after the other: they start whole services, install packages and measure time. */
export default defineConfig({
  test: {
    include: ['test/campaign/**/*.test.ts'],
    testTimeout: 600_000,
    hookTimeout: 300_000,
    expect: { poll: { timeout: 60_000 } },
    pool: 'forks',
    fileParallelism: false,
  },
});
