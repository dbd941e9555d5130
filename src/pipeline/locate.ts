/** Points at the pipeline file from errors that are found after parsing. */
import type { Position, Problem } from '../errors.js';
import { excerptAt, LineIndex } from './excerpt.js';
import { parentKey } from './key-path.js';
import type { Pipeline } from './pipeline.js';

type Located = Pick<Pipeline, 'positions' | 'text'>;

/**
 * Where a key such as `features[2]` or `sink.path` stands in the file, and the line with a caret. A key that is not
 * written there (a default, a short form) is located at the nearest one around it that is; `{}` where there is none.
 */
export function locate(pipeline: Located, key: string): { readonly position?: Position; readonly excerpt?: string } {
  for (let around: string | undefined = key; around !== undefined; around = parentKey(around)) {
    const position = pipeline.positions[around];
    if (position !== undefined) return { position, excerpt: excerptAt(new LineIndex(pipeline.text), position) };
  }
  return {};
}

/** A problem with what the pipeline says at `key`, located in the file. */
export function pipelineProblem(
  pipeline: Located & Pick<Pipeline, 'file'>,
  key: string,
  message: string,
  hint?: string,
): Problem {
  return { message, ...(hint === undefined ? {} : { hint }), file: pipeline.file, key, ...locate(pipeline, key) };
}
