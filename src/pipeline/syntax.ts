/** What the YAML parser complains about, in words that say what to do. */
import type { ErrorCode, YAMLError } from 'yaml';
import type { LineIndex } from './excerpt.js';
import type { Finding } from './problems.js';

const WORDS: Partial<Record<ErrorCode, readonly [message: string, hint?: string]>> = {
  TAB_AS_INDENT: ['a tab is used as indentation', 'YAML is indented by spaces: replace the tab'],
  BAD_INDENT: ['the indentation does not fit the lines above', 'keys of one mapping begin in the same column'],
  MULTIPLE_DOCS: ['the file holds more than one YAML document', 'remove the `---`: a pipeline is one document'],
  BLOCK_AS_IMPLICIT_KEY: [
    'a mapping begins inside a value of one line',
    'begin it on a line of its own, or put a value that holds `: ` in quotes',
  ],
  MULTILINE_IMPLICIT_KEY: ['a key goes over several lines', 'is a `:` or a closing quote missing?'],
  BAD_DQ_ESCAPE: ['an escape that double quotes do not know', 'write `\\\\` for a backslash, or use single quotes'],
  BAD_SCALAR_START: ['a value cannot begin with this character', 'put the value in quotes'],
  BAD_ALIAS: ['an alias that names no anchor', 'put a value that begins with `*` in quotes'],
  BAD_DIRECTIVE: ['a line that begins with `%` is a directive of YAML', 'remove it'],
  UNEXPECTED_TOKEN: [
    'something is here that YAML does not expect',
    'is a quote, a comma or a bracket missing, or one too many?',
  ],
  RESOURCE_EXHAUSTION: ['nested too deeply'],
};

const OPEN = ['a `[` or `{` above is not closed', 'close it, and indent its lines more than the key'] as const;

/** More than this nobody reads. */
const MOST = 10;

/**
 * Syntax errors as findings, one a line: one mistake makes the parser stumble several times. Of tokens that it did not
 * expect only the first is told, because after that it has lost its way.
 */
export function syntaxFindings(errors: readonly YAMLError[], lines: LineIndex): Finding[] {
  const seen = new Set<number>();
  const findings: Finding[] = [];
  let lost = false;
  for (const error of errors) {
    const { line } = lines.position(error.pos[0]);
    if (seen.has(line)) continue;
    seen.add(line);
    if (error.code === 'UNEXPECTED_TOKEN' && lost) continue;
    lost ||= error.code === 'UNEXPECTED_TOKEN';
    findings.push(finding(error, lines.line(line)));
    if (findings.length === MOST) break;
  }
  return findings;
}

function finding(error: YAMLError, line: string): Finding {
  const offset = error.pos[0];
  const isOpen = error.code === 'BAD_INDENT' && error.message.startsWith('Flow');
  const [message, hint] = isOpen ? OPEN : (WORDS[error.code] ?? [`this is not YAML: ${lowerFirst(error.message)}`]);
  if (line.includes('${') && /[[{][^$]*\$\{/.test(line)) {
    return {
      message,
      hint: 'inside [ ] and { } an interpolation needs quotes: "${NAME}"; a number needs a line of its own',
      offset,
    };
  }
  return { message, hint, offset };
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
