/** Tells what is in a file: a model or Parquet. */
import { open, stat } from 'node:fs/promises';
import { ColonnadeError } from '../errors.js';
import { inspectModel, type ModelDescription } from '../model/inspect.js';
import { inspectParquet, type ParquetReport } from '../parquet/describe.js';

export type Inspection = ModelDescription | ({ readonly kind: 'parquet' } & ParquetReport);

/**
 * Describes an ONNX model (a file or an MLflow model folder) or a Parquet file.
 * @throws ColonnadeError `NO_INPUT` when there is no such file; otherwise as reading that kind of file does.
 */
export async function inspectFile(path: string): Promise<Inspection> {
  const isParquet = await looksLikeParquet(path);
  return isParquet ? { kind: 'parquet', ...(await inspectParquet(path)) } : inspectModel(path);
}

/** By its magic, or by its name where it is cut off or empty. */
async function looksLikeParquet(path: string): Promise<boolean> {
  try {
    if ((await stat(path)).isDirectory()) return false;
    const handle = await open(path, 'r');
    try {
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(4), 0, 4, 0);
      const magic = buffer.toString('latin1', 0, bytesRead);
      return magic === 'PAR1' || magic === 'PARE' || /\.(parquet|parq|pq)$/i.test(path);
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw new ColonnadeError(
      'NO_INPUT',
      `${path}: ${(error as NodeJS.ErrnoException).code === 'ENOENT' ? 'there is no such file' : String(error)}`,
      {
        phase: 'run',
        hint: 'name an .onnx model, an MLflow model folder, or a Parquet file',
        cause: error,
      },
    );
  }
}
