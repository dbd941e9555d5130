/**
 * What an unquoted scalar means, by the core schema of YAML 1.2 (§10.3.2). Written out here because interpolated
 * scalars get their type after YAML was parsed.
 */
import type { ScalarValue } from './tree.js';

const NULL = /^(?:~|null|Null|NULL)?$/;
const TRUE = /^(?:true|True|TRUE)$/;
const FALSE = /^(?:false|False|FALSE)$/;
const INTEGER = /^[-+]?[0-9]+$/;
const OCTAL = /^0o[0-7]+$/;
const HEXADECIMAL = /^0x[0-9a-fA-F]+$/;
const FLOAT = /^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$/;
const INFINITE = /^[-+]?\.(?:inf|Inf|INF)$/;
const NOT_A_NUMBER = /^\.(?:nan|NaN|NAN)$/;

/** The value of an unquoted scalar. Integers are rounded to doubles where they are too large; see {@link inexactInteger}. */
export function coreScalar(text: string): ScalarValue {
  if (NULL.test(text)) return null;
  if (TRUE.test(text)) return true;
  if (FALSE.test(text)) return false;
  if (OCTAL.test(text) || HEXADECIMAL.test(text)) return Number(text);
  if (INTEGER.test(text) || FLOAT.test(text)) return Number(text);
  if (INFINITE.test(text)) return text.startsWith('-') ? -Infinity : Infinity;
  if (NOT_A_NUMBER.test(text)) return NaN;
  return text;
}

/** What is wrong with an integer that a double cannot hold: its value would silently be another. */
export function inexactInteger(text: string): { readonly message: string; readonly hint: string } | undefined {
  const integer = INTEGER.test(text) || OCTAL.test(text) || HEXADECIMAL.test(text);
  if (!integer || Number.isSafeInteger(Number(text))) return undefined;
  return {
    message: `the integer ${text.slice(0, 40)} is too large to be held exactly (beyond 2^53)`,
    hint: 'put it in quotes if it is a name or a label; a number may be written with an exponent, as in 1e19',
  };
}
