/** `colonnade inspect`: what is in a model or in a Parquet file. */
import { resolve } from 'node:path';
import { EXIT } from '../errors.js';
import type { Command } from './command.js';
import { OUTPUT_FLAGS, readOutputOptions } from './flags.js';
import { toJson } from './render/json.js';
import { unlessAborted } from './signals.js';

export const inspectCommand: Command = {
  name: 'inspect',
  summary: 'Show what is in a model or in a Parquet file',
  about:
    'Of an ONNX model: inputs and outputs with types and shapes, classes, opset, producer, size and the engine that scores it. Of a Parquet file: schema, row groups, codecs, statistics and metadata, and whether columns can be spliced in.',
  positional: {
    name: 'file',
    describe: 'An .onnx file, an MLflow model folder, or a Parquet file',
    required: true,
    many: false,
  },
  flags: {
    scaffold: {
      describe: 'Of a model: write a pipeline file that feeds it with the columns of this Parquet file, folder or glob',
      group: 'Pipeline:',
      kind: 'text',
      value: 'DATA',
    },
    ...OUTPUT_FLAGS,
  },
  examples: [
    ['colonnade inspect models/churn_logistic.onnx', 'what a model takes and gives'],
    ['colonnade inspect part-0.parquet', 'schema, row groups and codecs'],
    ['colonnade inspect models/churn_logistic.onnx --json | jq .outputs', 'for scripts'],
    ['colonnade inspect model.onnx --scaffold table.parquet > pipeline.yaml', 'a pipeline file to begin with'],
  ],
  async run(args, { stdout, cwd, signal }) {
    const { json } = readOutputOptions(args);
    const { scaffold: data } = args;
    if (typeof data === 'string') {
      const { scaffold } = await import('../run/scaffold.js');
      const made = await unlessAborted(signal, scaffold(resolve(cwd, String(args['file'])), resolve(cwd, data), cwd));
      stdout.write(json ? `${toJson(made)}\n` : made.text);
      return made.problems.length === 0 ? 0 : EXIT.mismatch;
    }
    const { inspectFile } = await import('../run/inspect.js');
    const inspection = await unlessAborted(signal, inspectFile(resolve(cwd, String(args['file']))));
    if (json) {
      stdout.write(`${toJson(inspection)}\n`);
    } else {
      const { renderInspection } = await import('./render/inspection.js');
      stdout.write(renderInspection(inspection, cwd, stdout.colors));
    }
    return 0;
  },
};
