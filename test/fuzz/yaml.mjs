/** Pipeline files that are hostile or broken: each is refused with places, or gives a frozen pipeline and nothing else. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { load, plan } from '../../dist/index.js';
import { damage } from './damage.mjs';
import { faultOf } from './judging.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Texts of pipelines, good and bad. */
export function wholePipelines() {
  const cases = join(root, 'test/pipeline/cases');
  const paths = [
    ...readdirSync(cases).map((name) => join(cases, name, 'pipeline.yaml')),
    ...readdirSync(join(root, 'pipelines')).map((name) => join(root, 'pipelines', name)),
  ];
  return paths.sort().map((path) => readFileSync(path, 'utf8'));
}

const PIECES = [
  '\t', '  ', ' ', '\n', '\r', '\r\n', ': ', ':', '- ', '-', '? ', '[', ']', '{', '}', ',', '#', '|', '>', '|+\n', '>-2\n',
  '"', "'", '&a ', '*a', '&a [*a]', '<<: *a', '<<: {}', '!!js/function "x"', '!!binary aGk=', '!<tag:x> ', '!', '%', '%YAML 1.1\n',
  '%TAG ! x\n', '---\n', '...\n', '@', '`', '~', 'null', 'true', 'yes', '.inf', '.nan', '-.inf', '0x1F', '0o17', '1e999', '-0',
  '9007199254740993', '12345678901234567890123', '2026-01-01', '__proto__: {polluted: true}\n', 'constructor: {prototype: {polluted: true}}\n',
  '"__proto__": 1\n', 'prototype: x\n', '${', '${}', '${HOME}', '${vars.x}', '${vars.day:-x}', '${A:-${B:-${C}}}', '$${x}', '}', '\\x41',
  '\u0000', '\u001b[31m', '\u007f', '\u0085', '\u00a0', '\u2028', '\u202e', '\ufeff', '\ud800', '\udfff', '😀', 'ａ', '𝒳', 'é', 'ß', 'İ',
  'version: 1\n', 'source:', 'features:', 'model:', 'outputs:', 'sink:', 'run:', 'validate:', 'toString: 1\n', 'hasOwnProperty: x\n',
  '../../../../etc/passwd', '/dev/zero', 'file:///etc/passwd', 'http://x/y', '%s%n', 'a'.repeat(5000), '\n'.repeat(300), ' '.repeat(300),
]; // prettier-ignore

const BOMBS = [
  (n) =>
    Array.from(
      { length: 12 },
      (_, i) =>
        `a${i}: &a${i} [${Array(n % 12)
          .fill(i === 0 ? 'x' : `*a${i - 1}`)
          .join(', ')}]`,
    ).join('\n'),
  (n) => '['.repeat(n * 40),
  (n) => '{a: '.repeat(n * 20),
  (n) => `x: ${'- '.repeat(n * 20)}`,
  (n) => '? '.repeat(n * 20),
  (n) => Array.from({ length: n * 4 }, (_, i) => `${' '.repeat(i)}k:`).join('\n'),
  (n) => Array.from({ length: n * 100 }, (_, i) => `k${i}: ${i}`).join('\n'),
  (n) => 'k: 1\n'.repeat(n * 100),
  (n) => `"${'x'.repeat(n * 2000)}`,
  (n) => `a: ${'${'.repeat(n * 100)}`,
  (n) => `a: "${'${x:-'.repeat(n * 50)}"`,
  (n) => `a: ${'!'.repeat(n * 50)} x`,
  (n) => `${'a: &x b\n'.repeat(n * 20)}`,
  (n) => `a: |\n${'  x\n'.repeat(n * 100)}`,
  (n) => `a: ${'9'.repeat(n * 500)}`,
  (n) => `${'#'.repeat(n * 1000)}\n`,
  (n) => `features: [${'x, '.repeat(n * 60)}x]`,
  (n) => `a: ${'"\\u0041" '.repeat(n * 10)}`,
  (n) => '\t'.repeat(n * 10) + 'a: b',
  (n) => ': '.repeat(n * 30),
  (n) => '&a '.repeat(n * 30),
  (n) => `? ${'[?'.repeat(n * 10)}`,
];

/** @returns {{ bytes: Buffer, what: string }} */
export function makeYaml(random, texts) {
  if (random.chance(0.12)) {
    const bomb = random.below(BOMBS.length);
    const size = 1 + random.below(100);
    const text = BOMBS[bomb](size);
    const below = random.chance(0.5) ? `${random.pick(texts)}\n${text}` : text;
    return { bytes: Buffer.from(below), what: `bomb ${bomb} of size ${size}` };
  }
  if (random.chance(0.05)) return { bytes: random.bytes(random.below(600)), what: 'random bytes' };
  let text = random.pick(texts);
  const whats = [];
  for (let times = 1 + random.below(4); times > 0; times -= 1) {
    const lines = text.split('\n');
    const line = random.below(lines.length);
    const at = random.below(text.length + 1);
    switch (random.below(9)) {
      case 0:
        lines.splice(line, 0, lines[line]);
        text = lines.join('\n');
        whats.push(`line ${line + 1} twice`);
        break;
      case 1:
        lines.splice(line, 1);
        text = lines.join('\n');
        whats.push(`line ${line + 1} left out`);
        break;
      case 2:
        lines[line] = random.pick([' ', '  ', '\t', '   ']) + lines[line];
        text = lines.join('\n');
        whats.push(`line ${line + 1} moved to the right`);
        break;
      case 3:
        lines[line] = random.pick(random.pick(texts).split('\n'));
        text = lines.join('\n');
        whats.push(`line ${line + 1} of another file`);
        break;
      case 4:
        text = text.slice(0, at);
        whats.push(`cut off after ${at} characters`);
        break;
      case 5: {
        const words = text.match(/[^\s:,[\]{}]+/g) ?? ['x'];
        const [word, other] = [random.pick(words), random.chance(0.5) ? random.pick(words) : random.pick(PIECES)];
        text = text.replace(word, () => other);
        whats.push(`${JSON.stringify(word)} → ${JSON.stringify(other.slice(0, 40))}`);
        break;
      }
      default: {
        const piece = random.pick(PIECES);
        text = text.slice(0, at) + piece + text.slice(random.chance(0.5) ? at : at + random.below(5));
        whats.push(`${JSON.stringify(piece.slice(0, 40))} at ${at}`);
      }
    }
  }
  let bytes = Buffer.from(text);
  if (random.chance(0.08) && bytes.length > 0) whats.push(damage(bytes, 0, bytes.length, random));
  if (random.chance(0.02)) {
    bytes = Buffer.from(`\ufeff${text}`, 'utf16le');
    whats.push('as UTF-16');
  }
  return { bytes, what: whats.join('; ') };
}

export async function openYamlJudge(bench) {
  const folder = join(bench.folder, 'yaml');
  mkdirSync(folder, { recursive: true });
  const path = join(folder, 'pipeline.yaml');
  const clean = Object.getOwnPropertyNames(Object.prototype).join();
  return async ({ bytes }) => {
    writeFileSync(path, bytes);
    let pipeline;
    try {
      pipeline = await load(path, { env: { HOME: '/nowhere' } });
    } catch (error) {
      return refused(error, bytes);
    } finally {
      if (Object.getOwnPropertyNames(Object.prototype).join() !== clean || {}.polluted !== undefined)
        throw new Error('the prototype of all objects was changed');
    }
    if (!Object.isFrozen(pipeline)) return { outcome: 'loaded', finding: 'the pipeline is not frozen' };
    try {
      await plan(pipeline);
      return { outcome: 'planned' };
    } catch (error) {
      return { outcome: `loaded, then ${error.code ?? 'no code'}`, finding: faultOf(error), message: error.message };
    }
  };

  function refused(error, bytes) {
    const answer = { outcome: error.code ?? 'no code', message: error.message, finding: faultOf(error) };
    if (answer.finding !== undefined || error.code !== 'PIPELINE_INVALID') return answer;
    const lines = bytes.toString().split(/\r\n|[\n\r]/);
    for (const { message, position, key } of error.problems) {
      // A key that is missing, or a variable that is not declared, has no place of its own; neither has the size of a file.
      if (position === undefined && !/KiB/.test(message) && key === undefined)
        return { ...answer, finding: `no line: ${message}` };
      if (position !== undefined && (position.line < 1 || position.line > lines.length || position.column < 1))
        return {
          ...answer,
          finding: `line ${position.line}, column ${position.column} of ${lines.length} lines: ${message}`,
        };
    }
    return error.problems.length === 0 ? { ...answer, finding: 'no problem is told' } : answer;
  }
}
