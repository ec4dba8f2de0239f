import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/campaign/**'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Only a test that fails waits that long: a busy machine may need it.
    expect: { poll: { timeout: 20_000 } },
    pool: 'forks',
    // Most tests wait for processes and Redis more than they compute.
    maxWorkers: 3,
  },
});
