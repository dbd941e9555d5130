/**
 * Bundles the programs of the package into `dist/bin`, with their compiled code: read and compiled from some 400 files of
 * dependencies they take three times as long to start. Native and WebAssembly packages stay outside, they load files from
 * where they lie. The library (`dist/index.js`) is not bundled. Run by `npm run build`, once `dist` is there.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'rolldown';

const root = fileURLToPath(new URL('..', import.meta.url));
const bin = path.join(root, 'dist/bin');
const programs = path.join(bin, 'programs.cjs');

rmSync(bin, { recursive: true, force: true });
await build({
  input: path.join(root, 'dist/programs.js'),
  platform: 'node',
  external: [/^@duckdb\/node-bindings/, /^onnxruntime-/, /^parquet-wasm/],
  // yargs asks for it where a configuration extends another, which ours does not have.
  transform: { define: { 'import.meta.resolve': 'undefined' } },
  // yargs lays out its own help with it, which is never shown; its tables of Unicode and its segmenter take longer to make
  // than all of ours.
  plugins: [
    {
      name: 'plain-width-for-yargs',
      resolveId: (id, importer = '') =>
        id === 'string-width' && /node_modules[\\/](?:cliui|wrap-ansi|yargs)[\\/]/.test(importer)
          ? '\0plain-width'
          : null,
      load: (id) => (id === '\0plain-width' ? 'export default (text) => text.length;' : null),
    },
  ],
  logLevel: 'warn',
  output: { file: programs, format: 'cjs', codeSplitting: false },
});
// In ASCII alone, V8 takes the file as it is, a byte a character.
writeFileSync(
  programs,
  readFileSync(programs, 'utf8').replaceAll(
    /[^\x00-\x7f]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  ),
);
copyFileSync(path.join(root, 'scripts/launch.cjs'), path.join(bin, 'launch.cjs'));
// The package's modules are ECMAScript ones; the loader of these takes 5 ms to start, which the programs do without.
writeFileSync(path.join(bin, 'package.json'), '{ "type": "commonjs" }\n');
for (const name of ['colonnade', 'worker-process']) {
  const shebang = name === 'colonnade' ? '#!/usr/bin/env node\n' : '';
  writeFileSync(path.join(bin, `${name}.js`), `${shebang}require('./launch.cjs')('${name}');\n`, { mode: 0o755 });
}

// What a run calls is compiled by running one; V8 then gives the compiled code of all that was called.
const folder = mkdtempSync(path.join(tmpdir(), 'colonnade-build-'));
try {
  const pipeline = path.join(folder, 'pipeline.json');
  writeFileSync(
    pipeline,
    JSON.stringify({
      version: 1,
      source: { path: path.join(root, 'data/customers') },
      features: ['age', 'income', 'num_transactions', 'tenure_months', 'days_since_login', 'support_calls'],
      model: { path: path.join(root, 'models/churn_logistic.onnx') },
      outputs: { churn_probability: { from: 'output_probability', class: 1 } },
      sink: { mode: 'append', path: path.join(folder, 'out') },
    }),
  );
  const code = `
    const { script, compiled, untuneV8 } = require('./launch.cjs')('colonnade');
    process.on('exit', () => {
      untuneV8();
      require('node:fs').writeFileSync(compiled, script.createCachedData());
    });`;
  execFileSync(process.execPath, ['-e', code, 'colonnade', 'run', pipeline, '--json', '--quiet'], {
    cwd: bin,
    env: { ...process.env, NODE_OPTIONS: '' },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
} finally {
  rmSync(folder, { recursive: true, force: true });
}
