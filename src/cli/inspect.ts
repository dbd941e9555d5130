/** `colonnade inspect`: what is in a model or in a Parquet file. */
import { resolve } from 'node:path';
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
  flags: OUTPUT_FLAGS,
  examples: [
    ['colonnade inspect models/churn_logistic.onnx', 'what a model takes and gives'],
    ['colonnade inspect part-0.parquet', 'schema, row groups and codecs'],
    ['colonnade inspect models/churn_logistic.onnx --json | jq .outputs', 'for scripts'],
  ],
  async run(args, { stdout, cwd, signal }) {
    const { json } = readOutputOptions(args);
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
