/** Kinds of inputs: how one is made from its number, and how it is judged. */
import { makeModel, openModelJudge, wholeModels } from './models.mjs';
import { makeParquet, openParquetJudge, wholeFiles } from './parquet.mjs';
import { Random } from './random.mjs';
import { makeSql, openSqlJudge } from './sql.mjs';
import { makeYaml, openYamlJudge, wholePipelines } from './yaml.mjs';

/** Of a hundred inputs so many are of a kind. */
export const SHARES = { cut: 8, footer: 22, fields: 14, page: 14, yaml: 14, sql: 13, model: 15 };

let seeds;

/** The input of a kind, a number and a seed: `bytes`, what was done (`what`), and what its judge needs. */
export function makeInput(seed, kind, index) {
  const random = new Random(`${seed} ${kind} ${index}`);
  seeds ??= { files: wholeFiles(), models: wholeModels(), texts: wholePipelines() };
  switch (kind) {
    case 'yaml':
      return makeYaml(random, seeds.texts);
    case 'sql':
      return makeSql(random);
    case 'model':
      return makeModel(random, seeds.models);
    default:
      return makeParquet(kind, random, seeds.files, index);
  }
}

/** The judges of all kinds in a worker. @param bench its folder and the other readers */
export function judges(bench) {
  const opened = new Map();
  const open = { yaml: openYamlJudge, sql: openSqlJudge, model: openModelJudge };
  return async (kind, input) => {
    const key = kind in open ? kind : 'parquet';
    if (!opened.has(key)) opened.set(key, await (open[key] ?? openParquetJudge)(bench));
    return opened.get(key)(input, kind);
  };
}
