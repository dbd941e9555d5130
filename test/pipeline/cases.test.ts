/**
 * Each folder in `cases/` is a case: `pipeline.yaml`, and what reading it gives: `problems.txt` as a person sees them, or
 * `pipeline.json` with paths relative to the folder.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ColonnadeError } from '../../src/errors.js';
import { parsePipeline } from '../../src/pipeline/load.js';
import { formatProblem } from '../../src/pipeline/problems.js';

const folder = join(import.meta.dirname, 'cases');
const env = { HOME: '/home/ada', RATES: '2', BATCH: 'many', OUT: 'churn' };

/** What reading the case gives, as text, and the name of the file that holds it. */
function outcome(name: string): { file: string; text: string } {
  const text = readFileSync(join(folder, name, 'pipeline.yaml'), 'utf8');
  const given = name === 'complete' ? {} : env;
  try {
    const {
      positions,
      text: source,
      ...rest
    } = parsePipeline(text, '/project/pipelines/pipeline.yaml', { env: given });
    expect(source).toBe(text);
    expect(Object.keys(positions).length).toBeGreaterThan(5);
    return { file: 'pipeline.json', text: `${JSON.stringify(rest, null, 2)}\n` };
  } catch (error) {
    if (!(error instanceof ColonnadeError)) throw error;
    const problems = error.problems.map((problem) => `${formatProblem(problem)}\n  key: ${problem.key ?? '-'}\n`);
    return { file: 'problems.txt', text: `${error.code}: ${error.message}\n\n${problems.join('\n')}` };
  }
}

describe('a pipeline file', () => {
  for (const name of readdirSync(folder)) {
    it(`gives what the case ${name} says`, async () => {
      const { file, text } = outcome(name);
      const other = file === 'pipeline.json' ? 'problems.txt' : 'pipeline.json';
      expect(existsSync(join(folder, name, other))).toBe(false);
      await expect(text).toMatchFileSnapshot(join(folder, name, file));
    });
  }
});
