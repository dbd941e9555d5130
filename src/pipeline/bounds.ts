/**
 * What is refused before YAML is parsed. The parser is recursive and its errors are costly, so a hostile file of a few
 * kilobytes could hold it for a second: a pass over the tokens, which is cheap and stops early, keeps that away.
 */
import { Lexer } from 'yaml';
import type { Finding } from './problems.js';

/** Bytes of a pipeline file. */
export const LARGEST_FILE = 256 * 1024;
/** Tokens of YAML; a feature on a line of its own is five, so that some 4,900 fit. */
const MOST_TOKENS = 25_000;
/** Columns of indentation; what lies deeper is no key of a pipeline. */
const WIDEST_INDENT = 256;
/** Levels of nesting; a pipeline needs six. */
export const DEEPEST = 32;

/** Characters that YAML 1.2 forbids; in an error they would reach the terminal. */
const CONTROL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u0084\u0086-\u009f\ufffe\uffff]/;

/** Markers of the lexer that stand for no character of the text. */
const MARKERS = new Set(['\u0002', '\u0018', '\u001f', '\ufeff']);

export const TOO_LARGE: Finding = {
  message: `the file has more than ${LARGEST_FILE / 1024} KiB, the most that a pipeline file may have`,
  hint: 'is this a pipeline file?',
};

/** The first reason not to parse the text, or undefined where it may be parsed. */
export function outOfBounds(text: string): Finding | undefined {
  if (text.length > LARGEST_FILE) return TOO_LARGE;
  const control = CONTROL.exec(text);
  if (control !== null) {
    const code = control[0].charCodeAt(0).toString(16).toUpperCase().padStart(4, '0');
    return {
      message: `the character U+${code} is not allowed in YAML`,
      hint: 'is this a text file? Write such a character as an escape in double quotes, or leave it out',
      offset: control.index,
    };
  }
  return tooMuch(text);
}

function tooMuch(text: string): Finding | undefined {
  let tokens = 0;
  let offset = 0;
  let brackets = 0;
  let indicators = 0;
  for (const token of new Lexer().lex(text)) {
    if (MARKERS.has(token)) continue;
    if (token === '[' || token === '{') brackets++;
    else if (token === ']' || token === '}') brackets = Math.max(0, brackets - 1);
    else if (token === '-' || token === '?') indicators++;
    else if (token.startsWith('\n') || token.startsWith('\r')) indicators = 0;
    else if (token.length > WIDEST_INDENT && /^ +$/.test(token)) {
      return { message: `a gap of more than ${WIDEST_INDENT} spaces`, hint: 'is this a pipeline file?', offset };
    }
    if (brackets > DEEPEST || indicators > DEEPEST) {
      return { message: `nested deeper than ${DEEPEST} levels`, hint: 'a pipeline needs six levels', offset };
    }
    if (++tokens > MOST_TOKENS) {
      return {
        message: `the file has more than ${MOST_TOKENS} marks and words of YAML`,
        hint: 'is this a pipeline file?',
        offset,
      };
    }
    offset += token.length;
  }
  return undefined;
}
