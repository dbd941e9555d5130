/**
 * Mutation tests: changes the code in thousands of small ways, and sees whether a test fails of each.
 *
 *   npm run mutants                        all targets; an hour and more
 *   npm run mutants -- splice ledger       some
 *
 * Of each target at least 85 of 100 mutants have to be killed. Those that live are listed in `test/mutation/report/TARGET.txt`.
 * Stryker is installed beside this file, from its own lock file: nothing else needs it.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const folder = import.meta.dirname;
const root = path.join(folder, '../..');
const LEAST = 85;

/** What is changed, and the tests that are to notice: those that run in one process, as a mutant is switched on there. */
const TARGETS = {
  ledger: { mutate: ['src/commit/ledger.ts'], tests: ['test/commit/ledger.test.ts'] },
  commit: {
    mutate: ['src/commit/*.ts', '!src/commit/ledger.ts'],
    tests: ['test/commit/*.test.ts', 'test/run/existing-output.test.ts'],
  },
  validation: { mutate: ['src/validate/*.ts'], tests: ['test/validate/*.test.ts', 'test/run/rules.test.ts'] },
  splice: {
    mutate: ['src/parquet/splice.ts', 'src/parquet/spliced-footer.ts', 'src/parquet/chunks.ts'],
    tests: ['splice', 'interoperability', 'small-copies', 'scores', 'writer-schemas'].map(
      (name) => `test/parquet/${name}.test.ts`,
    ),
  },
};

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !(name in TARGETS));
if (unknown.length > 0) {
  console.error(`no such target: ${unknown.join(', ')}; there are ${Object.keys(TARGETS).join(', ')}`);
  process.exit(64);
}

if (!existsSync(path.join(folder, 'node_modules')))
  execFileSync('npm', ['ci', '--no-audit', '--no-fund', '--prefix', folder], { stdio: 'inherit' });

const reports = path.join(folder, 'report');
mkdirSync(reports, { recursive: true });
/** @type {string[]} */
const rows = [];
let enough = true;
for (const [name, { mutate, tests }] of Object.entries(TARGETS)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  const json = path.join(reports, `${name}.json`);
  const config = path.join(reports, `${name}.config.json`);
  rmSync(json, { force: true });
  writeFileSync(
    config,
    JSON.stringify({
      mutate,
      testRunner: 'vitest',
      plugins: [path.join(folder, 'node_modules/@stryker-mutator/vitest-runner/dist/src/index.js')],
      vitest: { configFile: 'test/mutation/vitest.config.ts', related: false },
      ignorePatterns: ['/bench', '/.venv', '/docs', '/.cache', '/test/mutation/node_modules', '/test/mutation/report'],
      tempDirName: '.cache/stryker',
      disableTypeChecks: false,
      // A constant of a module is computed once: to change it, all tests would have to be run for each mutant.
      ignoreStatic: true,
      reporters: ['json', 'progress-append-only'],
      jsonReporter: { fileName: json },
      concurrency: Number(process.env.MUTANTS_AT_ONCE ?? 2),
      timeoutMS: 20_000,
      thresholds: { high: 95, low: LEAST, break: null },
    }),
  );
  const stryker = path.join(folder, 'node_modules/@stryker-mutator/core/bin/stryker.js');
  const { status } = spawnSync(process.execPath, [stryker, 'run', config], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, MUTATION_TESTS: tests.join(',') },
  });
  if (status !== 0) process.exit(status ?? 1);
  const { killed, lived } = read(json);
  const all = killed + lived.length;
  writeFileSync(path.join(reports, `${name}.txt`), lived.join('\n'));
  const percent = all === 0 ? 0 : (100 * killed) / all;
  enough &&= percent >= LEAST;
  rows.push(`| ${name} | ${all} | ${killed} | ${percent.toFixed(1)}% |`);
}
console.log(['| target | mutants | killed | share |', '| --- | --: | --: | --: |', ...rows].join('\n'));
if (!enough) process.exit(1);

/** @param {string} json Stryker's report. @returns {{ killed: number, lived: string[] }} */
function read(json) {
  /** @typedef {{ status: string, mutatorName: string, replacement?: string, location: { start: { line: number, column: number }, end: { line: number, column: number } } }} Mutant */
  /** @type {{ files: Record<string, { source: string, mutants: Mutant[] }> }} */
  const { files } = JSON.parse(readFileSync(json, 'utf8'));
  let killed = 0;
  const lived = [];
  for (const [file, { source, mutants }] of Object.entries(files)) {
    const lines = source.split('\n');
    for (const { status, mutatorName, replacement = '', location } of mutants) {
      if (status === 'Killed' || status === 'Timeout') killed += 1;
      else if (status === 'Survived' || status === 'NoCoverage')
        lived.push(
          `${file}:${location.start.line} ${status} ${mutatorName} → ${replacement.replaceAll('\n', ' ').slice(0, 80)}\n    ${lines[location.start.line - 1]?.trim()}`,
        );
    }
  }
  return { killed, lived };
}
