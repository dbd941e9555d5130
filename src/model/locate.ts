/** Finds the model file that a path of a pipeline means: an `.onnx` file, or the one inside an MLflow model folder. */
import { readdir, readFile, realpath, stat } from 'node:fs/promises';
import { isAbsolute, join, relative, resolve, sep } from 'node:path';
import { parse } from 'yaml';
import { ColonnadeError, messageOf } from '../errors.js';
import type { LoggedColumn } from '../plan/facts.js';

/** The file that describes an MLflow model: https://mlflow.org/docs/latest/ml/model/#storage-format. */
const MLMODEL = 'MLmodel';

/** Where a model is, and what lies beside it. */
export interface LocatedModel {
  /** The ONNX file. */
  readonly path: string;
  /** The named columns of the MLflow signature, in its order; absent where there is none, or one of tensors. */
  readonly columns?: readonly LoggedColumn[];
}

/**
 * Finds the ONNX file.
 *
 * @param path a file, or a folder with an `MLmodel` file of the `onnx` flavour
 * @throws ColonnadeError `MODEL_NOT_FOUND`, `MODEL_INVALID`
 */
export async function locateModel(path: string): Promise<LocatedModel> {
  const stats = await statModel(path);
  if (!stats.isDirectory()) return { path };
  let description: unknown;
  try {
    description = parse(await readFile(join(path, MLMODEL), 'utf8'), { maxAliasCount: 0 });
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    const models = missing ? (await readdir(path)).filter((name) => name.endsWith('.onnx')).sort() : [];
    throw new ColonnadeError(
      'MODEL_INVALID',
      missing
        ? `${path} is a folder, and no MLflow model: it has no file ${MLMODEL}${models.length === 0 ? '' : `; it holds ${models.slice(0, 10).join(', ')}`}`
        : `${path} is a folder, and its file ${MLMODEL} cannot be read: ${messageOf(error)}`,
      {
        phase: 'model',
        hint: `name the .onnx file itself, or a folder that MLflow saved a model of the onnx flavour in`,
        cause: error,
      },
    );
  }
  const data = field(field(field(description, 'flavors'), 'onnx'), 'data');
  if (typeof data !== 'string') {
    throw new ColonnadeError('MODEL_INVALID', `${join(path, MLMODEL)} has no onnx flavour (flavors.onnx.data)`, {
      phase: 'model',
      hint: 'save the model with mlflow.onnx.save_model, or name an .onnx file',
    });
  }
  const file = await insideFolder(path, data);
  if (file === undefined) {
    throw new ColonnadeError(
      'MODEL_INVALID',
      `${join(path, MLMODEL)} names the model file ${data}, outside its folder`,
      {
        phase: 'model',
        hint: 'keep the .onnx file inside the model folder',
      },
    );
  }
  await statModel(file);
  const columns = loggedColumns(join(path, MLMODEL), field(field(description, 'signature'), 'inputs'));
  return { path: file, ...(columns === undefined ? {} : { columns }) };
}

/**
 * The columns of a signature: JSON in a text of the YAML, a list of `{ name, type, required }`; of tensors it is
 * `{ type: tensor, tensor-spec }`. Source: https://mlflow.org/docs/latest/ml/model/signatures/.
 */
function loggedColumns(path: string, inputs: unknown): readonly LoggedColumn[] | undefined {
  if (inputs === undefined || inputs === null) return undefined;
  let list: unknown;
  try {
    list = typeof inputs === 'string' ? JSON.parse(inputs) : inputs;
  } catch {
    list = undefined;
  }
  if (!Array.isArray(list)) {
    throw new ColonnadeError('MODEL_INVALID', `${path}: signature.inputs is not a list of columns in JSON`, {
      phase: 'model',
      hint: 'log the model again with mlflow.models.infer_signature, or name the .onnx file itself',
    });
  }
  const columns = list.flatMap((each: unknown): LoggedColumn[] => {
    const [name, type] = [field(each, 'name'), field(each, 'type')];
    if (typeof name !== 'string' || type === 'tensor') return [];
    return [{ name, type: typeof type === 'string' ? type : JSON.stringify(type) }];
  });
  return columns.length === list.length && columns.length > 0 ? columns : undefined;
}

/**
 * The absolute path of `name` in `folder`, or undefined where it lies elsewhere: absolute, through `..`, or through a
 * link that leaves the folder. A file that does not exist counts by its name alone.
 */
export async function insideFolder(folder: string, name: string): Promise<string | undefined> {
  if (name === '' || name.includes('\0') || isAbsolute(name) || /^[A-Za-z]:|\\/.test(name)) return undefined;
  const path = resolve(folder, name);
  if (!contains(resolve(folder), path)) return undefined;
  try {
    return contains(await realpath(folder), await realpath(path)) ? path : undefined;
  } catch {
    return path;
  }
}

function contains(folder: string, path: string): boolean {
  const way = relative(folder, path);
  return way !== '' && way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}

async function statModel(path: string): Promise<{ isDirectory(): boolean }> {
  try {
    return await stat(path);
  } catch (error) {
    const missing = ['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '');
    throw new ColonnadeError(
      'MODEL_NOT_FOUND',
      missing ? `there is no model at ${path}` : `the model ${path} cannot be looked at: ${messageOf(error)}`,
      {
        phase: 'model',
        hint: missing
          ? 'set model.path to an .onnx file; a relative path starts at the folder of the pipeline file'
          : 'check model.path, and the permissions of the folders on the way to it',
        cause: error,
      },
    );
  }
}

function field(value: unknown, key: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
  return (value as Record<string, unknown>)[key];
}
