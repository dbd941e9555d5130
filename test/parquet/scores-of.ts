/** Scores for any Parquet file, whose values follow from the row number alone, so that every reader can check them. */
import { vectorFromArray, type DataType, type Field, type Vector } from 'apache-arrow';
import { outputField } from '../../src/plan/arrow-types.js';
import type { Footer } from '../../src/parquet/footer.js';
import { ScoresWriter } from '../../src/parquet/scores.js';
import type { Compression } from '../../src/pipeline/pipeline.js';

export const SCORE_FIELDS: readonly Field[] = [
  outputField('prediction', 'float32', false),
  outputField('label', 'string', false),
  outputField('all', 'float32', true),
  outputField('top', 'int64', false),
  outputField('status', 'uint8', false),
];

export const SCORE_COLUMNS = SCORE_FIELDS.map((field) => field.name);

/** What each column holds in row `row` of the file; rows 3, 10, 17, … are NULL in the predictions. */
export const SCORE_VALUES: Readonly<Record<string, (row: number) => unknown>> = {
  prediction: (row) => (row % 7 === 3 ? null : row * 0.5),
  label: (row) => (row % 7 === 3 ? null : `class-${row % 3}`),
  all: (row) => (row % 7 === 3 ? null : [row, row + 0.25]),
  top: (row) => (row % 7 === 3 ? null : BigInt(row) * 1_000_000_007n),
  status: (row) => (row % 7 === 3 ? 1 : 0),
};

/** The values of one column for some rows. */
export function scoreVector(field: Field, firstRow: number, rows: number): Vector {
  const value = SCORE_VALUES[field.name]!;
  return vectorFromArray(
    Array.from({ length: rows }, (_, index) => value(firstRow + index)),
    field.type as DataType,
  );
}

/** Writes the scores of a file in `parts` scores files, at `path` with a number behind it. */
export async function writeScores(
  footer: Footer,
  path: string,
  parts = 1,
  compression: Compression = 'snappy',
): Promise<string[]> {
  const groups = footer.rowGroups;
  const share = Math.max(1, Math.ceil(groups.length / parts));
  const paths: string[] = [];
  let row = 0;
  for (let from = 0; from < Math.max(1, groups.length); from += share) {
    const scores = `${path}.${paths.length}`;
    const writer = await ScoresWriter.open(scores, SCORE_FIELDS, { compression });
    for (const group of groups.slice(from, from + share)) {
      writer.appendRowGroup(SCORE_FIELDS.map((field) => scoreVector(field, row, group.rows)));
      row += group.rows;
    }
    writer.close();
    paths.push(scores);
  }
  return paths;
}
