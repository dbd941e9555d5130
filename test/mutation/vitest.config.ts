import { defineConfig } from 'vitest/config';

/** The tests that `run.mjs` names. */
export default defineConfig({
  test: {
    include: (process.env['MUTATION_TESTS'] ?? '').split(','),
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
