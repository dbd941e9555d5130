/** Reads what was written with `@duckdb/node-api`, beside Python's readers. */
import { DuckDBInstance } from '@duckdb/node-api';
import { join } from 'node:path';
import type { Done } from './pipelines.js';

const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`;
const named = (name: string): string => `"${name.replaceAll('"', '""')}"`;

/**
 * Rows of outputs that are not in source and expected predictions (as `check_outputs.py` leaves them in `expected`), or
 * are there more often; and the other way about. Nothing where all is well.
 */
export async function differencesByNode(runs: readonly Done[], expected: string): Promise<string[]> {
  const instance = await DuckDBInstance.create(':memory:', { enable_external_file_cache: 'false', threads: '2' });
  const connection = await instance.connect();
  const number = async (sql: string): Promise<number> =>
    Number((await connection.runAndReadAll(sql)).getRowsJson()[0]![0]);
  const differences: string[] = [];
  for (const [index, { plan, summary }] of runs.entries()) {
    const { mode } = plan.sink;
    const outputs = plan.outputs.map(({ name }) => name);
    const columns =
      mode === 'append'
        ? plan.sourceColumns
            .filter(({ hive }) => !hive)
            .map(({ name }) => name)
            .concat(outputs)
        : plan.sink.columns;
    const list = columns.map(named).join(', ');
    const wanted = plan.files.map(({ path, relativePath, hive }) => {
      const constants = Object.entries(plan.hiveTypes).map(
        ([name, type]) =>
          `, CAST(${typeof hive[name] === 'string' ? quoted(hive[name]) : 'NULL'} AS ${type}) AS ${named(name)}`,
      );
      const kept = mode === 'append' ? '' : 'WHERE _status IN (0, 2)';
      return `SELECT ${list} FROM (SELECT *${constants.join('')} FROM read_parquet(${quoted(path)}, hive_partitioning = false)) POSITIONAL JOIN read_parquet(${quoted(join(expected, String(index), relativePath))}, hive_partitioning = false) ${kept}`;
    });
    const hive = mode === 'partition' ? `true, hive_types_autocast = false` : 'false';
    const outcomes =
      mode === 'partition'
        ? [[join(summary.output, '**/*.parquet'), wanted.join(' UNION ALL ')]]
        : plan.files.map(({ relativePath }, i) => [join(summary.output, relativePath), wanted[i]!]);
    for (const [path, want] of outcomes) {
      // Floats that a logarithm had a hand in may differ in the last bit.
      const round = plan.outputs.flatMap(({ name, take }) =>
        take.kind === 'reduce' && take.reduce === 'entropy' ? [`round(${named(name)}, 5) AS ${named(name)}`] : [],
      );
      const replace = round.length === 0 ? '' : ` REPLACE (${round.join(', ')})`;
      const texts = plan.sink.partitionBy
        .filter((name) => columns.includes(name))
        .map((name) => `${named(name)}::VARCHAR AS ${named(name)}`);
      const both = texts.length === 0 ? replace : ` REPLACE (${[...round, ...texts].join(', ')})`;
      const got = `SELECT *${both} FROM (SELECT ${list} FROM read_parquet(${quoted(path!)}, hive_partitioning = ${hive}))`;
      const should = `SELECT *${both} FROM (${want!})`;
      try {
        const [more, less] = [
          await number(`SELECT count(*) FROM (${got} EXCEPT ALL ${should})`),
          await number(`SELECT count(*) FROM (${should} EXCEPT ALL ${got})`),
        ];
        if (more > 0 || less > 0) differences.push(`${path}: ${more} rows too many, ${less} missing`);
      } catch (error) {
        differences.push(`${path}: ${String(error)}`);
      }
    }
  }
  connection.closeSync();
  instance.closeSync();
  return differences;
}
