/** Tells what is in a file: a model or Parquet. */
import { open, readdir, stat } from 'node:fs/promises';
import { ColonnadeError } from '../errors.js';
import { inspectModel, type ModelDescription } from '../model/inspect.js';
import { readError } from '../parquet/blocks.js';
import { inspectParquet, type ParquetReport } from '../parquet/describe.js';
import { looksLike, OTHER_BINARY } from '../parquet/magic.js';

export type Inspection = ModelDescription | ({ readonly kind: 'parquet' } & ParquetReport);

/** Bytes that tell what a file is. */
const HEAD = 512;

/**
 * Describes an ONNX model (a file or an MLflow model folder) or a Parquet file.
 * @throws ColonnadeError `NO_INPUT` when there is no such file, or it is neither; otherwise as reading that kind of file
 *   does.
 */
export async function inspectFile(path: string): Promise<Inspection> {
  return (await kindOf(path)) === 'parquet' ? { kind: 'parquet', ...(await inspectParquet(path)) } : inspectModel(path);
}

/**
 * Parquet by its magic, or by its name where it is cut off or empty. A model has no magic: it is what is not known to be
 * something else.
 */
async function kindOf(path: string): Promise<'parquet' | 'model'> {
  let head: Buffer;
  try {
    if ((await stat(path)).isDirectory()) {
      if ((await readdir(path)).includes('MLmodel')) return 'model';
      throw neither(`${path} is a folder, and no MLflow model: it has no file MLmodel`);
    }
    head = await readHead(path);
  } catch (error) {
    if (error instanceof ColonnadeError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') throw neither(`${path}: there is no such file`, error);
    throw readError(error, path);
  }
  const magic = head.toString('latin1', 0, 4);
  if (magic === 'PAR1' || magic === 'PARE' || /\.(parquet|parq|pq)$/i.test(path)) return 'parquet';
  const what = looksLike(head);
  if (what === OTHER_BINARY || /\.onnx$/i.test(path)) return 'model';
  throw neither(`${path} is neither an ONNX model nor Parquet: it looks like ${what}`);
}

function neither(message: string, cause?: unknown): ColonnadeError {
  return new ColonnadeError('NO_INPUT', message, {
    phase: 'run',
    hint: 'name an .onnx model, an MLflow model folder, or a Parquet file',
    cause,
  });
}

async function readHead(path: string): Promise<Buffer> {
  const handle = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(HEAD), 0, HEAD, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}
