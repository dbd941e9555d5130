/**
 * Bundles the program into `dist/bin`: read from some 400 files of its dependencies it takes twice as long to start. Native
 * and WebAssembly packages stay outside, they load files from where they lie. The library (`dist/index.js`) is not bundled.
 */
import { defineConfig } from 'rolldown';

export default defineConfig({
  input: { colonnade: 'dist/cli/main.js', 'worker-process': 'dist/run/worker-process.js' },
  platform: 'node',
  external: [/^@duckdb\/node-bindings/, /^onnxruntime-/, 'parquet-wasm'],
  output: {
    dir: 'dist/bin',
    format: 'esm',
    // Beside the entry points: a module finds the worker process next to itself, in the bundle as in the sources.
    chunkFileNames: '[name]-[hash].js',
  },
});
