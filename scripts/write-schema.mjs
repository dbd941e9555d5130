/**
 * Writes schema/pipeline.schema.json from the definition that the reader of pipeline files uses.
 * Run after a build: `npm run build && node scripts/write-schema.mjs`.
 */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import { pipelineJsonSchema } from '../dist/pipeline/json-schema.js';

const file = fileURLToPath(new URL('../schema/pipeline.schema.json', import.meta.url));
const options = await resolveConfig(file);
writeFileSync(file, await format(JSON.stringify(pipelineJsonSchema()), { ...options, filepath: file }));
