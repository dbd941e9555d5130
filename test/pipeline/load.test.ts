import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ColonnadeError } from '../../src/errors.js';
import { loadPipeline, parsePipeline, type LoadOptions } from '../../src/pipeline/load.js';
import type { Pipeline } from '../../src/pipeline/pipeline.js';

const VALID = `version: 1
name: churn
vars: { day: "2026-11-01", size: 4096 }
source:
  path: ../data/customers
  key: [customer_id]
  where: "day = '\${vars.day}'"
features: [age, income, { name: log_txn, sql: "ln(1 + txn)" }]
model:
  path: ../models/churn.onnx
  inputs: { X: [age, income, log_txn] }
  batch_size: \${vars.size}
outputs:
  churn: label
  sure: { from: probabilities, reduce: max }
validate:
  max_invalid: 1%
  rules:
    age: { min: 0, max: 120 }
    income: { missing: nan }
sink: { mode: append, path: ../out }
run: { workers: 2, memory: 1GB }
`;

const parse = (text: string, options: Partial<LoadOptions> = {}): Pipeline =>
  parsePipeline(text, '/project/pipelines/churn.yaml', { env: {}, ...options });

/** The error that reading gives; anything else that is thrown, or no error, fails the test. */
function refusal(read: () => unknown): ColonnadeError {
  try {
    read();
  } catch (error) {
    if (error instanceof ColonnadeError) return error;
    throw error;
  }
  throw new Error('the text was accepted');
}

const messages = (error: ColonnadeError): string[] => error.problems.map(({ message }) => message);

describe('parsePipeline', () => {
  it('gives data that cannot be changed', () => {
    const pipeline = parse(VALID);
    const visit = (value: unknown): void => {
      if (typeof value !== 'object' || value === null) return;
      expect(Object.isFrozen(value)).toBe(true);
      Object.values(value).forEach(visit);
    };
    visit(pipeline);
    expect(() => (pipeline.features as unknown[]).push('more')).toThrow(TypeError);
  });

  it('has no rule or input for a name that objects inherit', () => {
    const { validate, models, positions } = parse(VALID);
    const names = ['toString', 'valueOf', 'hasOwnProperty'];
    for (const record of [validate.rules, models[0]!.inputs ?? {}, positions]) {
      expect(names.filter((name) => name in record)).toEqual([]);
    }
  });

  it('takes columns named as parts of objects are', () => {
    const text = VALID.replace('income: { missing: nan }', 'toString: { min: 1 }').replace(
      'churn: label',
      'valueOf: label',
    );
    const { validate, outputs } = parse(text);
    expect(validate.rules['toString']?.min).toBe(1);
    expect(outputs[0]?.name).toBe('valueOf');
  });

  it('reads the same from a file with Windows line ends and a byte order mark', () => {
    const pipeline = parse(`\ufeff${VALID.replaceAll('\n', '\r\n')}`);
    expect({ ...pipeline, text: VALID }).toEqual(parse(VALID));
  });

  it('tells the place behind a byte order mark and Windows line ends as an editor shows it', () => {
    const error = refusal(() => parse('\ufeffversion: 2\r\nsink: 1\r\n'));
    expect(error.problems.find(({ key }) => key === 'version')).toMatchObject({
      position: { line: 1, column: 10 },
      excerpt: '1 | version: 2\n  |          ^',
    });
    expect(error.problems.find(({ key }) => key === 'sink')?.excerpt).toBe('2 | sink: 1\n  |       ^');
  });

  it('takes `on_invalid: null` for the word', () => {
    for (const word of ['null', '"null"']) {
      const text = VALID.replace('max_invalid: 1%', `on_invalid: ${word}`);
      expect(parse(text).validate.onInvalid).toBe('null');
    }
    expect(messages(refusal(() => parse(VALID.replace('max_invalid: 1%', 'on_invalid:'))))).toEqual([
      '`validate.on_invalid` is empty; allowed: quarantine, null, fail',
    ]);
  });

  it('takes a duration with its unit for a timeout, or off', () => {
    const timeout = (given: string) => parse(VALID.replace('1GB', `1GB, timeout: ${given}`)).run.timeout;
    expect(parse(VALID).run.timeout).toBeUndefined();
    expect(['100ms', '90s', '1.5 min', '2h', 'off'].map(timeout)).toEqual([0.1, 90, 90, 7200, null]);
    for (const wrong of ['99ms', '0s', '10', '-1s', '1d', '5 minutes', 'never'])
      expect(messages(refusal(() => timeout(wrong)))).toEqual([
        expect.stringContaining('allowed: a duration such as 90s, 10min or 1h, at least 100ms, or off'),
      ]);
  });

  it('takes a number of rows or a share for max_invalid, and never a bare fraction', () => {
    const limit = (given: string) => parse(VALID.replace('1%', given)).validate.maxInvalid;
    expect([limit('0'), limit('12'), limit('0%'), limit('2.5 %'), limit('100%')]).toEqual([
      { count: 0 },
      { count: 12 },
      { share: 0 },
      { share: 0.025 },
      { share: 1 },
    ]);
    for (const given of ['0.01', '-1', '101%', '1.5', '1e999%', '%']) refusal(() => limit(given));
  });

  it('reads sizes of memory in decimal and binary units', () => {
    const memory = (given: string) => parse(VALID.replace('1GB', given)).run.memory;
    expect([memory('128MB'), memory('200000 KB'), memory('1.5GiB'), memory('134217728B')]).toEqual([
      128e6, 200e6, 1610612736, 134217728,
    ]);
    for (const given of ['127MB', '512mb', '512M', '1', '99999TB', 'auto']) refusal(() => memory(given));
  });

  it('takes paths from the folder of the file, whatever its name', () => {
    const { source } = parsePipeline(VALID.replace('../data/customers', 'data/*.parquet'), '/work [old]/p.yaml', {
      env: {},
    });
    expect(source.paths).toEqual(['/work [old]/data/*.parquet']);
    const plain = parsePipeline(VALID, '/work [old]/a/p.yaml', { env: {} });
    expect(plain.source.paths).toEqual(['/work [old]/data/customers']);
  });

  it('names a pipeline without a name by its file', () => {
    const text = VALID.replace('name: churn\n', '');
    expect(parse(text).name).toBe('churn');
    expect(parsePipeline(text, '/p/my pipeline (2).yml', { env: {} }).name).toBe('my-pipeline-2-');
  });

  it('takes thousands of features', () => {
    const names = Array.from({ length: 4000 }, (_, index) => `feature_${index}`);
    const text = VALID.replace(/features: .*/, `features:\n${names.map((name) => `  - ${name}`).join('\n')}`);
    expect(parse(text.replace(/  inputs: .*\n/, '')).features.map(({ name }) => name)).toEqual(names);
  });

  it('counts problems beyond the hundredth without telling them', () => {
    const text = VALID + Array.from({ length: 150 }, (_, index) => `zzzzz${index}: 1\n`).join('');
    const error = refusal(() => parse(text));
    expect(error.problems).toHaveLength(100);
    expect(error.message).toContain('has 150 problems, the first 100 of which are told');
  });
});

describe('variables', () => {
  const withSize = (size: string, options: Partial<LoadOptions> = {}) =>
    parse(VALID.replace('batch_size: ${vars.size}', `batch_size: ${size}`), options);

  it('are filled in from the environment, from defaults and from `vars`', () => {
    expect(withSize('${B}', { env: { B: '7' } }).models[0]!.batchSize).toBe(7);
    expect(withSize('${B:-8}').models[0]!.batchSize).toBe(8);
    expect(withSize('${B:-8}', { env: { B: '' } }).models[0]!.batchSize).toBe(8);
    expect(withSize('${B:-${C:-9}}').models[0]!.batchSize).toBe(9);
    expect(withSize('${B:-auto}').models[0]!.batchSize).toBe('auto');
    expect(parse(VALID).models[0]!.batchSize).toBe(4096);
  });

  it('replace those of the file when they are given', () => {
    const { source, models } = parse(VALID, { vars: { day: '2026-12-24', size: '16' } });
    expect([source.where, models[0]!.batchSize]).toEqual(["day = '2026-12-24'", 16]);
  });

  it('need not have a value in the file when one is given', () => {
    const text = VALID.replace('"2026-11-01"', '"${DAY:?which day}"');
    expect(messages(refusal(() => parse(text)))).toEqual(['`DAY` is not set: which day']);
    expect(parse(text, { vars: { day: 'x' } }).source.where).toBe("day = 'x'");
  });

  it('stay texts in quotes, and get their type from YAML without', () => {
    expect(messages(refusal(() => withSize('"${B}"', { env: { B: '7' } })))[0]).toBe(
      '`model.batch_size` is "7" (from `${B}`); allowed: auto, or a whole number from 1 to 16777216',
    );
    const label = (scalar: string) => {
      const text = VALID.replace(
        '  sure: { from: probabilities, reduce: max }',
        `  sure:\n    from: p\n    class: ${scalar}`,
      );
      return parse(text, { env: { L: '1' } }).outputs[1]?.take;
    };
    expect(label('${L}')).toEqual({ kind: 'class', label: 1 });
    expect(label('"${L}"')).toEqual({ kind: 'class', label: '1' });
    expect(label('${L}0')).toEqual({ kind: 'class', label: '10' });
  });

  it('are not looked for in what was filled in', () => {
    const text = VALID.replace('name: log_txn, sql: "ln(1 + txn)"', 'name: log_txn, sql: "${SQL}"');
    expect(parse(text, { env: { SQL: '${HOME} $$ $X' } }).features[2]?.sql).toBe('${HOME} $$ $X');
  });

  it('that nobody declared are refused with the declared ones', () => {
    const error = refusal(() => parse(VALID, { vars: { dya: '1', constructor: '2' } }));
    expect(error.problems).toEqual([
      {
        message:
          'the variable `dya` is given (--var dya=…), but the pipeline does not declare it; it declares: day, size',
        hint: 'did you mean `day`?',
        file: '/project/pipelines/churn.yaml',
        key: 'vars',
      },
      expect.objectContaining({ key: 'vars', hint: 'declare it in the file: `vars: { constructor: "a default" }`' }),
    ]);
  });

  it('are all told when several in one value are wrong', () => {
    const error = refusal(() => withSize('a${A}${B:?no}${vars.x}'));
    expect(error.problems.map(({ position }) => position?.column)).toEqual([16, 20, 28]);
  });

  it('do not hide what else is wrong', () => {
    const error = refusal(() => parse(VALID.replace('${vars.size}', '${vars.siz}').replace('append', 'apend')));
    expect(error.problems.map(({ key }) => key)).toEqual(['model.batch_size', 'sink.mode']);
  });

  it('give back any text that is written with its dollars doubled', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary' }).filter((text) => text !== '' && !text.includes('\0')),
        (text) => {
          const quoted = JSON.stringify(text.replaceAll('$', '$$$$')).replaceAll(/[\u007f-\uffff]/g, (character) => {
            return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
          });
          const pipeline = parse(VALID.replace('"ln(1 + txn)"', () => quoted));
          expect(pipeline.features[2]).toEqual({ name: 'log_txn', sql: text });
        },
      ),
    );
  });
});

describe('the hash', () => {
  const hash = (text: string, options: Partial<LoadOptions> = {}) => parse(text, options).hash;

  it('does not see comments, the order of keys, ways of writing, defaults or the folder', () => {
    const same = [
      `# a comment\n${VALID}`,
      VALID.replace('{ min: 0, max: 120 }', '{ max: 120.0, min: 0 }'),
      VALID.replace('[customer_id]', 'customer_id'),
      VALID.replace('max_invalid: 1%', 'max_invalid: 1.0%\n  on_invalid: quarantine'),
      VALID.replace('${vars.size}', '4096'),
      VALID.replace('1GB', '1000MB'),
      VALID.replace('  path: ../models/churn.onnx\n', '').replace('model:\n', 'model:\n  path: ../models/churn.onnx\n'),
    ];
    expect(new Set(same.map((text) => hash(text)))).toEqual(new Set([hash(VALID)]));
    expect(parsePipeline(VALID, '/elsewhere/churn.yaml', { env: {} }).hash).toBe(hash(VALID));
  });

  it('sees values, variables, and the order of features and outputs', () => {
    const others = [
      hash(VALID.replace('[age, income, {', '[income, age, {')),
      hash(VALID.replace('X: [age, income,', 'X: [income, age,')),
      hash(VALID.replace('max: 120', 'max: 121')),
      hash(VALID, { vars: { day: '2026-11-02' } }),
      hash(VALID.replace('  churn: label\n', '').replace('reduce: max }\n', 'reduce: max }\n  churn: label\n')),
      hash(VALID.replace('../out', '../out2')),
    ];
    expect(new Set([...others, hash(VALID)]).size).toBe(others.length + 1);
  });
});

describe('a hostile text', () => {
  const many = (text: string, times: number) => text.repeat(times);
  const bombs: Record<string, string> = {
    'aliases of aliases': `a0: &a0 [x, x, x, x, x, x, x, x, x]\n${Array.from({ length: 12 }, (_, n) => `a${n + 1}: &a${n + 1} [${many(`*a${n}, `, 9)}]\n`).join('')}`,
    'an alias of itself': 'a: &a [*a, *a]\n',
    'open brackets': many('[', 200_000),
    'open braces': many('{a: ', 50_000),
    'dashes on a line': many('- ', 100_000),
    'question marks': many('? ', 100_000),
    'deep indentation': Array.from({ length: 200 }, (_, depth) => `${many(' ', depth)}a:\n`).join(''),
    'deeper indentation': Array.from({ length: 600 }, (_, depth) => `${many(' ', depth)}a:\n`).join(''),
    'closing brackets': many(']', 200_000),
    commas: `[${many(',', 200_000)}`,
    quotes: many('"', 200_000),
    tabs: `a:\n${many('\tb: 1\n', 30_000)}`,
    'many documents': many('---\n', 50_000),
    'too many keys': Array.from({ length: 9_000 }, (_, n) => `k${n}: 1\n`).join(''),
    'many keys': Array.from({ length: 3_000 }, (_, n) => `k${n}: 1\n`).join(''),
    'one key many times': many('a: 1\n', 3_000),
    'a mebibyte': `a: "${many('x', 1 << 20)}"`,
    'a long key': `${many('k', 1000)}: 1\n`,
    'many dollars': `version: "${many('${A:-', 40_000)}"`,
    'an escape sequence of terminals': 'a: \u001b[2J\n',
    'a NUL character': 'a: \0\n',
    'an escaped NUL character': VALID.replace('"ln(1 + txn)"', '"\\0"'),
    'a directive of YAML 1.1': `%YAML 1.1\n---\n${VALID}`,
    'keys of objects': '{"__proto__": {"polluted": 1}, "constructor": {"prototype": {"polluted": 1}}}',
    'a set': 'version: !!set {a, b}\n',
    'a single text': 'hello',
    nothing: '',
    'a mark of byte order': '\ufeff',
  };
  for (const [name, text] of Object.entries(bombs)) {
    it(`is refused: ${name}`, () => {
      const error = refusal(() => parse(text));
      expect(error.code).toBe('PIPELINE_INVALID');
      expect(error.problems.length).toBeGreaterThan(0);
      const tooLong = name === 'a mebibyte';
      if (!tooLong) expect(error.problems[0]?.position).toBeDefined();
      expect(JSON.stringify(error.problems.map(({ excerpt }) => excerpt ?? ''))).not.toMatch(/\\u001b|\\u0000/);
      expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
    });
  }

  it('is only ever refused by a PIPELINE_INVALID, wherever a valid file is damaged', () => {
    const fragment = fc.oneof(
      fc.constantFrom(
        '{',
        '}',
        '[',
        ']',
        ': ',
        '- ',
        '\n',
        '\t',
        '&a ',
        '*a',
        '!!str ',
        '$',
        '${',
        '"',
        "'",
        '|',
        '#',
        '? ',
        '.nan',
        'null',
      ),
      fc.string({ unit: 'binary', maxLength: 5 }),
    );
    const damage = fc.record({ at: fc.nat(VALID.length), remove: fc.nat(40), insert: fragment });
    fc.assert(
      fc.property(fc.array(damage, { minLength: 1, maxLength: 4 }), (damages) => {
        const text = damages.reduce(
          (old, { at, remove, insert }) => old.slice(0, at) + insert + old.slice(at + remove),
          VALID,
        );
        try {
          parse(text);
        } catch (error) {
          expect(error).toBeInstanceOf(ColonnadeError);
          const { code, problems } = error as ColonnadeError;
          expect(code).toBe('PIPELINE_INVALID');
          expect(problems.length).toBeGreaterThan(0);
          expect(messages(error as ColonnadeError).join()).not.toMatch(/Invalid|undefined|\[object/);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('is only ever refused by a PIPELINE_INVALID, whatever value stands in whatever place', () => {
    const places = [...VALID.matchAll(/(?<=: )[^\n{[]+$|(?<=[:,] )[^\s,{}[\]]+(?=[,\] ])/gm)];
    expect(places.length).toBeGreaterThan(15);
    const value = fc.constantFrom(
      '5',
      '-1',
      '1e400',
      'true',
      'null',
      '""',
      '[]',
      '{}',
      '[[1]]',
      '{ a: 1 }',
      '.inf',
      '!x y',
      '*z',
      '9007199254740993',
    );
    fc.assert(
      fc.property(fc.constantFrom(...places), value, (place, other) => {
        const text = VALID.slice(0, place.index) + other + VALID.slice(place.index + place[0].length);
        try {
          parse(text);
        } catch (error) {
          expect(error).toBeInstanceOf(ColonnadeError);
          expect(messages(error as ColonnadeError).join()).not.toMatch(/Invalid|undefined|\[object/);
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('loadPipeline', () => {
  let folder = '';
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'colonnade-pipeline-'));
    mkdirSync(join(folder, 'empty'));
    writeFileSync(join(folder, 'churn.yaml'), VALID);
    writeFileSync(join(folder, 'other.yml'), VALID);
    writeFileSync(join(folder, 'notes.txt'), '');
  });
  afterAll(() => {
    rmSync(folder, { recursive: true });
  });

  const failure = async (file: string): Promise<ColonnadeError> => {
    const error: unknown = await loadPipeline(file, { env: {} }).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ColonnadeError);
    return error as ColonnadeError;
  };

  it('reads a file and resolves its paths against the folder of the file', async () => {
    const { source, file } = await loadPipeline(join(folder, 'churn.yaml'), { env: {} });
    expect(file).toBe(join(folder, 'churn.yaml'));
    expect(source.paths).toEqual([join(folder, '../data/customers')]);
  });

  it('offers the nearest file where there is none of that name', async () => {
    const error = await failure(join(folder, 'chrun.yml'));
    expect([error.code, error.hint]).toEqual(['PIPELINE_NOT_FOUND', `did you mean \`${join(folder, 'churn.yaml')}\`?`]);
    expect((await failure(join(folder, 'x.yaml'))).hint).toBe(`in ${folder} there are: churn.yaml, other.yml`);
    expect((await failure(join(folder, 'empty', 'x.yaml'))).hint).toBe(
      `there is no .yaml file in ${join(folder, 'empty')}`,
    );
    symlinkSync('loop.yaml', join(folder, 'loop.yaml'));
    const unreadable = await failure(join(folder, 'loop.yaml'));
    expect([unreadable.code, unreadable.hint]).toEqual([
      'PIPELINE_NOT_FOUND',
      'make it a file that this user may read',
    ]);
    rmSync(join(folder, 'loop.yaml'));
    expect((await failure(join(folder, 'none', 'x.yaml'))).code).toBe('PIPELINE_NOT_FOUND');
    expect((await failure(join(folder, 'a\0b.yaml'))).code).toBe('PIPELINE_NOT_FOUND');
  });

  it('offers the files of a folder that was named instead of a file', async () => {
    const error = await failure(folder);
    expect([error.code, error.message]).toEqual([
      'PIPELINE_NOT_FOUND',
      `cannot read the pipeline ${folder}: it is a folder`,
    ]);
    expect(error.hint).toContain('churn.yaml, other.yml');
  });

  it('refuses bytes that are not UTF-8 at their place', async () => {
    const file = join(folder, 'empty', 'latin1.txt');
    writeFileSync(file, Buffer.from('version: 1\nname: \u00e9\u00e9t\u00e9\n# \u00fc', 'latin1'));
    expect((await failure(file)).problems).toMatchObject([
      { message: 'the file is not UTF-8', position: { line: 2, column: 7 } },
    ]);
    writeFileSync(file, Buffer.from(`\ufeff${VALID}`, 'utf16le'));
    expect((await failure(file)).problems).toMatchObject([
      { hint: 'it looks like UTF-16: save it as UTF-8', position: { line: 1, column: 1 } },
    ]);
  });

  it('does not read more than a pipeline may be', async () => {
    expect(messages(await failure('/dev/zero'))).toEqual([
      'the file has more than 256 KiB, the most that a pipeline file may have',
    ]);
  });
});

describe('the samples', () => {
  const samples = join(import.meta.dirname, '../../pipelines');
  for (const name of readdirSync(samples).filter((file) => /\.ya?ml$/.test(file))) {
    it(`has a valid ${name} that names the schema for editors`, async () => {
      const { text } = await loadPipeline(join(samples, name), { env: {} });
      expect(text.split('\n')[0]).toBe('# yaml-language-server: $schema=../schema/pipeline.schema.json');
    });
  }
});
