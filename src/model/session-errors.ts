/** Turns what ONNX Runtime throws into errors that say which model, what and what to do. */
import { ColonnadeError, messageOf } from '../errors.js';
import { counted } from '../plan/quantities.js';

/** Longest text of ONNX Runtime that a message repeats. */
const MAX_TEXT = 600;

const MISSING_LOCALE = /Failed to construct locale with name:\s*([\w.-]+)/;

/** Messages of ONNX Runtime that mean: a sound model, but not one that this runtime can run. */
const UNSUPPORTED: readonly { readonly pattern: RegExp; readonly hint: (match: RegExpExecArray) => string }[] = [
  {
    pattern: /(\S+)\(-?\d+\) is not a registered function\/op/,
    hint: ([, operator = '']) =>
      `the operator ${operator} is not part of ONNX Runtime: export the model without custom operators`,
  },
  {
    pattern: /No Op registered for (\S+) with domain_version of (\d+)/,
    hint: ([, operator = '', version = '']) =>
      `opset ${version} has no operator ${operator}: export the model with an opset that has it, or without custom operators`,
  },
  {
    pattern: /Could not find an implementation for (\S+?)\(\d+\)/,
    hint: ([, operator = '']) =>
      `ONNX Runtime has no ${operator} for these types: export the model with float32 in place of them`,
  },
  {
    pattern: /Unsupported model IR version: \d+, max supported IR version: (\d+)/,
    hint: ([, version = '']) =>
      `save the model with IR version ${version} or lower (model.ir_version in Python's onnx)`,
  },
  {
    pattern: /Current official support for domain (\S+) is till opset (\d+)/,
    hint: ([, domain = '', version = '']) => `export the model with opset ${version} or lower of ${domain}`,
  },
  {
    pattern: MISSING_LOCALE,
    hint: ([, locale = '']) =>
      `install the locale ${locale} (on Debian: apt-get install locales && locale-gen ${locale}), or export the model with locale="C"`,
  },
];

/** Whether a model was refused because it lowers texts by a locale that is not installed. */
export function isMissingLocale(error: unknown): boolean {
  return error instanceof ColonnadeError && MISSING_LOCALE.test(error.message);
}

/** What ONNX Runtime said, in one line, without the place in its own source. */
export function runtimeText(error: unknown): string {
  const text = messageOf(error)
    .replaceAll(/\/onnxruntime_src\/\S+:\d+ .*?\) /gs, '')
    .replaceAll(/\s+/g, ' ')
    .trim();
  return text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text;
}

/** The error for a model that no session can be made from: `MODEL_UNSUPPORTED`, else `MODEL_INVALID`. */
export function loadError(path: string, error: unknown): ColonnadeError {
  const text = runtimeText(error);
  for (const { pattern, hint } of UNSUPPORTED) {
    const match = pattern.exec(text);
    if (match === null) continue;
    return new ColonnadeError('MODEL_UNSUPPORTED', `ONNX Runtime cannot run ${path}: ${text}`, {
      phase: 'model',
      hint: hint(match),
      cause: error,
    });
  }
  return new ColonnadeError('MODEL_INVALID', `ONNX Runtime refuses ${path}: ${text}`, {
    phase: 'model',
    hint: 'check the model with onnx.checker.check_model in Python, and export or download it again',
    cause: error,
  });
}

/** Messages that mean: not the rows, the machine. */
const NO_MEMORY = /Failed to allocate memory|bad_alloc|bad allocation|not enough memory/i;

/** Longest text of ONNX Runtime that stands beside a row. */
const MAX_REASON = 300;

/** What a model said of a row that it failed on alone, in few words. */
export function reasonOf(error: ColonnadeError): string {
  const text = error.cause === undefined ? error.message : runtimeText(error.cause);
  const short = text.replace(
    /^Non-zero status code returned while running (\S+) node\. Name:'[^']*' Status Message: /,
    '$1: ',
  );
  return short.length > MAX_REASON ? `${short.slice(0, MAX_REASON)}…` : short;
}

/** The error for a batch that the model fails on: `MODEL_FAILED`; `OUT_OF_MEMORY`. */
export function runError(path: string, rows: number, error: unknown): ColonnadeError {
  if (NO_MEMORY.test(messageOf(error))) {
    return new ColonnadeError(
      'OUT_OF_MEMORY',
      `${path} ran out of memory on a batch of ${counted(rows, 'row')}: ${runtimeText(error)}`,
      {
        phase: 'model',
        hint: 'use fewer --workers, or a smaller model.batch_size',
        cause: error,
      },
    );
  }
  return new ColonnadeError(
    'MODEL_FAILED',
    `${path} failed on a batch of ${counted(rows, 'row')}: ${runtimeText(error)}`,
    {
      phase: 'model',
      hint: 'a value of the batch is one that the model was not made for: add a rule for the feature, so that such rows are set apart',
      cause: error,
    },
  );
}
