import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const committed = `'${root}data/customers/**/*.parquet'`;

/** Rows with the file they are in, so that order and layout are compared, too. NaN equals NaN in EXCEPT. */
const rowsOf = (glob: string, folder: string): string =>
  `SELECT * REPLACE (replace(filename, '${folder}', '') AS filename)
   FROM read_parquet(${glob}, hive_partitioning = true, filename = true, file_row_number = true)`;

describe('the sample data', () => {
  let folder: string;
  let connection: DuckDBConnection;

  const generate = (...options: string[]): void => {
    execFileSync(process.execPath, [`${root}scripts/data.mjs`, ...options], { stdio: 'pipe' });
  };
  const rows = async (sql: string): Promise<unknown[][]> => await (await connection.run(sql)).getRowsJson();

  beforeAll(async () => {
    folder = mkdtempSync(path.join(tmpdir(), 'colonnade-data-'));
    connection = await (await DuckDBInstance.create(':memory:')).connect();
  });

  afterAll(() => {
    connection.closeSync();
    rmSync(folder, { recursive: true, force: true });
  });

  it('is made anew by its script, row for row', async () => {
    const made = path.join(folder, 'customers');
    generate('--out', made);
    const theirs = rowsOf(`'${made}/**/*.parquet'`, made);
    const ours = rowsOf(committed, `${root}data/customers`);
    expect(await rows(`SELECT count(*)::INTEGER FROM (${theirs})`)).toEqual([[50000]]);
    expect(await rows(`SELECT count(*)::INTEGER FROM (${ours} EXCEPT ALL ${theirs})`)).toEqual([[0]]);
    expect(await rows(`SELECT count(*)::INTEGER FROM (${theirs} EXCEPT ALL ${ours})`)).toEqual([[0]]);
  });

  it('has few rows that no model can score, and each kind of them', async () => {
    const [counts] = await rows(`
      SELECT
        count_if(age = 999)::INTEGER, count_if(age IS NULL)::INTEGER, count_if(income IS NULL)::INTEGER,
        count_if(isnan(income))::INTEGER, count_if(isinf(income))::INTEGER, count_if(income < 0)::INTEGER,
        count_if(age IS NULL OR age = 999 OR income IS NULL OR NOT isfinite(income) OR income < 0) / count(*)
      FROM ${committed}`);
    const share = counts?.pop();
    expect(Math.min(...(counts as number[]))).toBeGreaterThan(0);
    expect(share).toBeLessThan(0.01);
  });

  it('can be made in any size and width, with the same customers', async () => {
    const wide = path.join(folder, 'wide');
    generate('--shape', 'wide', '--rows', '1007', '--files', '1', '--out', wide);
    const source = `read_parquet('${wide}/**/*.parquet', hive_partitioning = true)`;
    expect(await rows(`SELECT count(*)::INTEGER FROM (DESCRIBE SELECT * FROM ${source})`)).toEqual([[200]]);
    expect(
      await rows(`SELECT count(*)::INTEGER FROM (
        SELECT COLUMNS(c -> c NOT SIMILAR TO '[nds][0-9]+') FROM ${source}
        INTERSECT SELECT * FROM read_parquet(${committed}, hive_partitioning = true))`),
    ).toEqual([[1007]]);
  });

  it('comes as a benchmark table of text and numbers, every row of which a model can score', async () => {
    const file = path.join(folder, 'bench-mixed.parquet');
    generate('--table', 'bench-mixed', '--rows', '3000', '--out', file);
    expect(await rows(`SELECT count(*)::INTEGER FROM (DESCRIBE SELECT * FROM '${file}')`)).toEqual([[17]]);
    expect(
      await rows(`SELECT count(*)::INTEGER, count(DISTINCT region)::INTEGER, count(DISTINCT status)::INTEGER FROM '${file}'
        WHERE COLUMNS(*) IS NOT NULL AND age BETWEEN 18 AND 87`),
    ).toEqual([[3000, 4, 3]]);
  });

  it('comes as benchmark tables of 17 and 201 columns as well', async () => {
    for (const [table, columns] of [
      ['bench-narrow', 17],
      ['bench-wide', 201],
    ] as const) {
      const file = path.join(folder, `${table}.parquet`);
      generate('--table', table, '--rows', '3000', '--out', file);
      expect(await rows(`SELECT count(*)::INTEGER FROM (DESCRIBE SELECT * FROM '${file}')`)).toEqual([[columns]]);
      expect(
        await rows(
          `SELECT count(*)::INTEGER FROM '${file}' WHERE ${Array.from({ length: 10 }, (_, k) => `f${k} >= -2 AND f${k} < 2`).join(' AND ')}`,
        ),
      ).toEqual([[3000]]);
    }
  });

  it('does not write over a folder unless told to', () => {
    const made = path.join(folder, 'once');
    generate('--rows', '10', '--out', made);
    expect(() => {
      generate('--rows', '10', '--out', made);
    }).toThrow(/exists already; give --replace/);
    generate('--rows', '10', '--out', made, '--replace');
  });
});
