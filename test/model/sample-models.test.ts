/**
 * The models of `models/` against `models/golden/`: what Python's onnxruntime made of committed data, with one thread
 * and the same batches.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { DataType, Table, tableFromIPC, Uint8, Vector, vectorFromArray } from 'apache-arrow';
import { readParquet } from 'parquet-wasm';
import { describe, expect, it } from 'vitest';
import { BatchBuilder } from '../../src/model/batch-builder.js';
import { fixedBatchOf } from '../../src/model/probe.js';
import { OutputColumnBuilder } from '../../src/model/outputs.js';
import { openModel } from '../../src/model/session.js';
import type { PlannedInput, ProjectedColumn } from '../../src/plan/plan.js';

interface GoldenModel {
  readonly model: string;
  readonly sha256: string;
  readonly producer: string;
  readonly opsets: Readonly<Record<string, number>>;
  readonly rows: number;
  /** Columns that feed each input. */
  readonly features: Readonly<Record<string, readonly string[]>>;
  readonly outputs: Readonly<Record<string, { readonly classes?: readonly (string | number)[] }>>;
}

const folder = new URL('../../models/', import.meta.url);
const goldens = (
  JSON.parse(readFileSync(new URL('golden/golden.json', folder), 'utf8')) as { models: Record<string, GoldenModel> }
).models;

function goldenTable(name: string): Table {
  return tableFromIPC(readParquet(readFileSync(new URL(`golden/${name}.parquet`, folder))).intoIPCStream());
}

/** The columns as a scan gives them: bools as bytes. */
function asScanned(table: Table): Table {
  const columns = table.schema.fields.map(({ name, type }): [string, Vector] => {
    const column = table.getChild(name)!;
    if (!DataType.isBool(type)) return [name, column];
    const bytes = Array.from(column as Iterable<boolean | null>, (value) => (value === null ? null : Number(value)));
    return [name, vectorFromArray(bytes, new Uint8())];
  });
  return new Table(Object.fromEntries(columns));
}

/** A value of a column, or of a list of it, in a form in which equal means the same bits. */
function plain(value: unknown): unknown {
  return value instanceof Vector ? Array.from(value as Iterable<unknown>) : value;
}

describe('a sample model', () => {
  it.each(Object.entries(goldens))('%s gives what Python gave, bit for bit', async (name, golden) => {
    const table = goldenTable(name);
    expect(table.numRows).toBe(golden.rows);
    const model = await openModel(fileURLToPath(new URL(golden.model, folder)));
    try {
      const { signature } = model;
      expect(signature).toMatchObject({ hash: golden.sha256, producer: golden.producer, opsets: golden.opsets });

      const names = Object.values(golden.features).flat();
      const types = new Map(signature.inputs.map((input) => [input.name, input]));
      const projection = Object.entries(golden.features).flatMap(([input, columns]) =>
        columns.map((column): ProjectedColumn => ({
          name: column,
          role: 'feature',
          sql: column,
          element: types.get(input)!.type,
          rule: { missing: 'nan', infinite: 'allow' },
        })),
      );
      let next = 0;
      const inputs = Object.entries(golden.features).map(([input, columns]): PlannedInput => {
        const { type, shape } = types.get(input)!;
        expect(shape[1]).toBe(columns.length);
        const layout = columns.length === 1 ? 'column' : 'pack';
        return { name: input, type, rank: 2, width: columns.length, layout, columns: columns.map(() => next++) };
      });
      const fixed = fixedBatchOf(signature.inputs);
      const batchSize = fixed ?? golden.rows;
      const builder = new BatchBuilder({ inputs, batchSize, fixedBatch: fixed !== undefined }, projection);
      const columns = signature.outputs.map((output) => {
        const list = output.shape.length === 2;
        return new OutputColumnBuilder(
          {
            name: output.name,
            model: 0,
            from: output.name,
            take: { kind: list ? 'list' : 'whole' },
            type: output.type,
            list,
          },
          golden.rows,
        );
      });

      const features = asScanned(table.select(names));
      for (let start = 0; start < golden.rows; start += batchSize) {
        const end = Math.min(start + batchSize, golden.rows);
        for (const batch of features.slice(start, end).batches) builder.add(batch);
        const outputs = model.run(builder.take());
        for (const column of columns) column.write(outputs.get(column.output.name)!, start, end - start);
      }

      for (const column of columns) {
        const found = Array.from(new Vector([column.finish()]), plain);
        const expected = Array.from(table.getChild(column.output.name)!, plain);
        expect(found, column.output.name).toEqual(expected);
      }
      for (const { name: output, classes } of signature.outputs) {
        const known = golden.outputs[output]?.classes;
        if (known !== undefined) expect(classes).toEqual(known);
      }
    } finally {
      await model.release();
    }
  });
});
