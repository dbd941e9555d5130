/** `colonnade schema`: the JSON Schema of pipeline files. */
import type { Command } from './command.js';
import { OUTPUT_FLAGS } from './flags.js';
import { toJson } from './render/json.js';

export const schemaCommand: Command = {
  name: 'schema',
  summary: 'Print the JSON Schema of pipeline files',
  about:
    'Prints the JSON Schema (draft 7) that editors complete and check pipeline files with. Name it in the first line of a pipeline: # yaml-language-server: $schema=pipeline.schema.json',
  flags: OUTPUT_FLAGS,
  examples: [['colonnade schema > pipeline.schema.json', 'keep it beside the pipelines']],
  async run(_args, { stdout }) {
    const { pipelineJsonSchema } = await import('../pipeline/json-schema.js');
    stdout.write(`${toJson(pipelineJsonSchema(), 2)}\n`);
    return 0;
  },
};
