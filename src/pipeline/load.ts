/** Reads a pipeline file: text in, a complete frozen {@link Pipeline} out, or all that is wrong at once. */
import { open, readdir, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { ColonnadeError, messageOf } from '../errors.js';
import { LARGEST_FILE, TOO_LARGE } from './bounds.js';
import { checkParts } from './checks.js';
import { completePipeline } from './complete.js';
import { readDocument } from './document.js';
import { interpolate, type Surroundings } from './interpolate.js';
import { nearest } from './nearest.js';
import type { Pipeline } from './pipeline.js';
import { ProblemList } from './problems.js';
import { pipelineSchema } from './schema.js';
import { entriesOf, entry, nullAsWord, positionsOf, toData, type TreeNode } from './tree.js';
import { decodeUtf8 } from './utf8.js';
import { tellViolations } from './violations.js';

/** `env`: what `${NAME}` reads; `vars`: values that replace those under `vars` in the file, as of `--var`. */
export type LoadOptions = Surroundings;

/**
 * Reads and parses the pipeline file `file`. Paths in it are resolved against its folder.
 * Throws `PIPELINE_NOT_FOUND` where it cannot be read, and what {@link parsePipeline} throws.
 */
export async function loadPipeline(file: string, options: LoadOptions = {}): Promise<Pipeline> {
  const bytes = await read(file);
  if (bytes.length > LARGEST_FILE) throw tooLarge(file);
  const text = decodeUtf8(bytes);
  if (typeof text === 'string') return parsePipeline(text, file, options);
  const problems = new ProblemList(file, text.readable);
  problems.add({
    message: 'the file is not UTF-8',
    hint: text.utf16 ? 'it looks like UTF-16: save it as UTF-8' : 'save it as UTF-8',
    offset: text.offset,
  });
  throw problems.error();
}

/**
 * The pipeline that `text` describes; `file` names it in errors and gives the folder that paths are relative to.
 * Throws one `PIPELINE_INVALID` whose `problems` are all that is wrong, each with its place.
 */
export function parsePipeline(text: string, file: string, options: LoadOptions): Pipeline {
  const unmarked = text.startsWith('\ufeff') ? text.slice(1) : text;
  const problems = new ProblemList(file, unmarked);
  const document = readDocument(unmarked, problems);
  if (document === undefined) throw problems.error();
  const tree = nullAsWord(interpolate(document, options, unmarked, problems), ['validate', 'on_invalid']);
  const checked = pipelineSchema.safeParse(toData(tree));
  if (!checked.success) tellViolations(tree, checked.error.issues, problems);
  checkParts(tree, problems);
  if (!checked.success || !problems.empty) throw problems.error();
  return completePipeline(checked.data, {
    file: resolve(file),
    text: unmarked,
    vars: options.vars ?? {},
    positions: positionsOf(tree, problems.lines),
    models: modelsIn(tree),
  });
}

/** The models of a checked file with their outputs, in its order. */
function modelsIn(tree: TreeNode): { name: string | undefined; outputs: string[] }[] {
  const namesUnder = (node: TreeNode): string[] => entriesOf(entry(node, 'outputs')?.value).map(({ key }) => key);
  const several = entry(tree, 'models')?.value;
  if (several === undefined) return [{ name: undefined, outputs: namesUnder(tree) }];
  return entriesOf(several).map(({ key, value }) => ({ name: key, outputs: namesUnder(value) }));
}

function tooLarge(file: string): ColonnadeError {
  const problems = new ProblemList(file, '');
  problems.add(TOO_LARGE);
  return problems.error();
}

/** The bytes of the file; one byte more than is allowed where it is larger, whatever it is that is read. */
async function read(file: string): Promise<Uint8Array> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(file, 'r');
    const buffer = Buffer.alloc(LARGEST_FILE + 1);
    let length = 0;
    while (length < buffer.length) {
      const { bytesRead } = await handle.read(buffer, length, buffer.length - length, null);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    return buffer.subarray(0, length);
  } catch (error) {
    throw await notFound(file, error);
  } finally {
    await handle?.close();
  }
}

async function notFound(file: string, cause: unknown): Promise<ColonnadeError> {
  const code = (cause as NodeJS.ErrnoException).code;
  const reasons: Record<string, string> = {
    ENOENT: 'there is no such file',
    ENOTDIR: 'there is no such file',
    EISDIR: 'it is a folder',
    EACCES: 'its permissions do not allow it',
  };
  const folder = code === 'EISDIR' ? file : dirname(file);
  const files = await pipelineFiles(folder);
  const near = nearest(basename(file), files) ?? (files.length === 1 ? files[0] : undefined);
  const hint = files.includes(basename(file))
    ? 'make it a file that this user may read'
    : near !== undefined
      ? `did you mean \`${join(folder, near)}\`?`
      : files.length > 0
        ? `in ${folder} there are: ${files.slice(0, 10).join(', ')}`
        : `there is no .yaml file in ${folder}`;
  return new ColonnadeError(
    'PIPELINE_NOT_FOUND',
    `cannot read the pipeline ${file}: ${reasons[code ?? ''] ?? messageOf(cause)}`,
    {
      phase: 'pipeline',
      hint,
      cause,
    },
  );
}

/** Names of the YAML files in a folder; none where it cannot be read. */
async function pipelineFiles(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).filter((name) => /\.ya?ml$/i.test(name)).sort();
  } catch {
    return [];
  }
}
