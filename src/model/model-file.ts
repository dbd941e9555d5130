/** Reads a model file and tells what it is when it is not ONNX. */
import { createHash } from 'node:crypto';
import { open, type FileHandle } from 'node:fs/promises';
import { fromBinary } from '@bufbuild/protobuf';
import { ColonnadeError, messageOf } from '../errors.js';
import { ModelProtoSchema, type GraphProto, type ModelProto } from './onnx_pb.js';

/** Protocol buffers, and so ONNX files, end at 2 GB: https://protobuf.dev/programming-guides/proto-limits/. */
const MAX_MODEL_BYTES = 2 ** 31 - 1;

/** Reads go in pieces: one read call cannot fill more than 2 GiB. */
const READ_BYTES = 2 ** 28;

/** What a failed read means, by the code of the system. */
const READ_FAULTS: Readonly<Record<string, string>> = {
  EACCES: 'permission is denied',
  EPERM: 'permission is denied',
  EISDIR: 'it is a folder',
  EIO: 'the disk reported an error',
};

/** A model file in memory. */
export interface ModelFile {
  readonly path: string;
  readonly bytes: Uint8Array;
  /** sha256, hex. */
  readonly hash: string;
}

/** A parsed model that has a graph. */
export type ParsedModel = ModelProto & { graph: GraphProto };

/**
 * Reads a whole model file.
 *
 * @throws ColonnadeError `MODEL_NOT_FOUND`; `MODEL_INVALID` when it is empty, too large or unreadable
 */
export async function readModelFile(path: string): Promise<ModelFile> {
  const bytes = await readBytes(path, MAX_MODEL_BYTES);
  if (bytes.length === 0) {
    throw new ColonnadeError('MODEL_INVALID', `the model ${path} is empty (0 bytes)`, {
      phase: 'model',
      hint: 'export or download the model again',
    });
  }
  return { path, bytes, hash: createHash('sha256').update(bytes).digest('hex') };
}

/**
 * The bytes of a file.
 *
 * @throws ColonnadeError `MODEL_NOT_FOUND` when it is not there, `MODEL_INVALID` when it is larger than `maxBytes` or
 *   cannot be read
 */
export async function readBytes(path: string, maxBytes: number): Promise<Uint8Array> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, 'r');
    const { size } = await file.stat();
    if (size > maxBytes) {
      throw new ColonnadeError(
        'MODEL_INVALID',
        `${path} has ${size} bytes, more than the ${maxBytes} that can be read`,
        {
          phase: 'model',
          hint: 'an ONNX file ends at 2 GB: save larger models with their weights as external data',
        },
      );
    }
    const bytes = new Uint8Array(size);
    let at = 0;
    while (at < size) {
      const { bytesRead } = await file.read(bytes, at, Math.min(READ_BYTES, size - at), at);
      if (bytesRead === 0) break;
      at += bytesRead;
    }
    return bytes.subarray(0, at);
  } catch (error) {
    if (error instanceof ColonnadeError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    const missing = code === 'ENOENT';
    throw new ColonnadeError(
      missing ? 'MODEL_NOT_FOUND' : 'MODEL_INVALID',
      missing ? `there is no file ${path}` : `${path} cannot be read: ${READ_FAULTS[code ?? ''] ?? messageOf(error)}`,
      { phase: 'model', hint: 'check model.path and the permissions of the file', cause: error },
    );
  } finally {
    await file?.close();
  }
}

/**
 * Parses an ONNX file. Unknown fields are kept, so that writing the model gives them back.
 *
 * @throws ColonnadeError `MODEL_INVALID` saying what the file looks like
 */
export function parseModel(file: ModelFile): ParsedModel {
  let model: ModelProto;
  try {
    model = fromBinary(ModelProtoSchema, file.bytes);
  } catch (error) {
    throw notOnnx(file, `it is cut off or damaged (${messageOf(error)})`, error);
  }
  if (!isParsed(model)) throw notOnnx(file, 'it has no graph: it is cut off, damaged or not an ONNX model');
  if (model.irVersion <= 0n || model.graph.output.length === 0) {
    throw notOnnx(file, 'its graph has no output or no IR version: it is cut off, damaged or not an ONNX model');
  }
  return model;
}

function isParsed(model: ModelProto): model is ParsedModel {
  return model.graph !== undefined;
}

function notOnnx(file: ModelFile, otherwise: string, cause?: unknown): ColonnadeError {
  const looks = resemblance(file.bytes);
  return new ColonnadeError(
    'MODEL_INVALID',
    looks === undefined
      ? `${file.path} (${file.bytes.length} bytes) cannot be read as an ONNX model: ${otherwise}`
      : `${file.path} is not an ONNX model: it looks like ${looks.what}`,
    { phase: 'model', hint: looks?.hint ?? 'export or download the model again', cause },
  );
}

interface Resemblance {
  readonly what: string;
  readonly hint: string;
}

/** What a file that is not ONNX looks like by its first bytes, if they tell. */
function resemblance(bytes: Uint8Array): Resemblance | undefined {
  const start = Buffer.from(bytes.subarray(0, 512)).toString('latin1');
  const text = start.trimStart().toLowerCase();
  const toOnnx = 'convert the model to ONNX first (skl2onnx, onnxmltools, torch.onnx.export)';
  if (/^<(!doctype|html|\?xml|head|body)/.test(text)) {
    return { what: 'a web page', hint: 'the download gave a page in place of the file: download the model again' };
  }
  if (text.startsWith('version https://git-lfs')) {
    return { what: 'a Git LFS pointer', hint: 'fetch the file itself with "git lfs pull"' };
  }
  if (start.startsWith('PK\x03\x04'))
    return { what: 'a zip archive (PyTorch, Keras or NumPy files are)', hint: toOnnx };
  if (/^\x80[\x02-\x05]/.test(start)) return { what: 'a Python pickle', hint: toOnnx };
  if (start.startsWith('\x1f\x8b')) return { what: 'a gzip file', hint: 'unpack it first' };
  if (start.startsWith('\x89HDF')) return { what: 'an HDF5 file (older Keras models are)', hint: toOnnx };
  if (start.startsWith('TFL3', 4)) return { what: 'a TensorFlow Lite model', hint: toOnnx };
  if (start.startsWith('ORTM', 4))
    return { what: "a model in ONNX Runtime's own ORT format", hint: 'name the .onnx file that it was made from' };
  if (start.startsWith('PAR1')) return { what: 'a Parquet file', hint: 'set model.path to an .onnx file' };
  if (start.startsWith('{', 8) && bytes[7] === 0) return { what: 'a safetensors file', hint: toOnnx };
  if (/^tree\r?\nversion=/.test(text)) return { what: 'a LightGBM text model', hint: toOnnx };
  if (/^[{[]\s*["{[]/.test(text)) return { what: 'a JSON file (XGBoost models can be)', hint: toOnnx };
  if (/^binf|^\{l\0/.test(text)) return { what: 'a binary XGBoost model', hint: toOnnx };
  return undefined;
}
