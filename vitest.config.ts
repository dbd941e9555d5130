import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Processes, not threads: DuckDB and ONNX Runtime are native libraries, and ONNX Runtime is known to crash when it
    // is loaded in several worker threads of one process.
    pool: 'forks',
    // Most of a test's time is spent in processes that wait for the disk or for each other.
    maxWorkers: '100%',
    // Tests run whole pipelines, Python and other processes beside them; a slow machine must not make them fail.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    coverage: {
      provider: 'v8',
      include: ['src/**/*.ts'],
      exclude: ['src/model/onnx_pb.ts'],
    },
  },
});
