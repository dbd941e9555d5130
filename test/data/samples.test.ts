import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { loadPipeline } from '../../src/pipeline/load.js';
import { preparePlan } from '../../src/run/prepare.js';

const folder = fileURLToPath(new URL('../../pipelines', import.meta.url));
const golden = JSON.parse(readFileSync(path.join(folder, '../models/golden/golden.json'), 'utf8')) as {
  models: Record<string, { sha256: string; features: Record<string, string[]> }>;
};

describe.each(readdirSync(folder))('the sample %s', (name) => {
  const file = path.join(folder, name);

  it('names its schema for editors', () => {
    expect(readFileSync(file, 'utf8')).toMatch(
      /^# yaml-language-server: \$schema=\.\.\/schema\/pipeline\.schema\.json\n/,
    );
  });

  it('fits its data and its model, which gets the features that it was trained on', async () => {
    const pipeline = await loadPipeline(file, { env: {} });
    const plan = await preparePlan(pipeline);
    expect(plan.expected.rows).toBeGreaterThan(500);
    expect(plan.notes).toEqual([]);
    for (const model of plan.models) {
      const trained = golden.models[path.basename(model.path, '.onnx')];
      expect(model.hash).toBe(trained?.sha256);
      const fed = model.inputs.map(({ name, columns }) => [name, columns.map((place) => plan.projection[place]?.name)]);
      expect(Object.fromEntries(fed)).toEqual(trained?.features);
    }
  });

  it('writes below out/, each to a place of its own, and can be run again', async () => {
    const { sink } = await loadPipeline(file, { env: {} });
    expect(sink.path).toBe(path.join(folder, '../out', path.basename(name, '.yaml')));
    expect(sink.exists).toBe('replace');
  });
});
