import { expect, it } from 'vitest';
import { linearModel } from '../run/onnx.js';
import { COLONNADE, describeTerminal, onlyObject, onTerminal, openShop, records } from './program.js';

const bench = await openShop();
const ESCAPE = '\u001b';
const start = (command: string, columns = 100, env: Record<string, string> = {}) =>
  onTerminal(`${COLONNADE} ${command}`, { cwd: bench.folder, columns, env: { TERM: 'xterm', ...env } });

/** What was drawn one over the other in the line of the bar, without colours. */
function drawn(screen: string): string[] {
  return screen
    .replaceAll(/\u001b\[[\d;]*m/g, '')
    .split(/\u001b\[1G|\n/)
    .filter((text) => /[━─]/.test(text));
}

describeTerminal('on a terminal', () => {
  it('a bar shows how far a run is, takes itself away, and leaves the cursor as it was', async () => {
    const { code, stdout: screen } = await start('run shop.yaml --replace');
    expect(code).toBe(0);
    // Messages stand above it, on lines of their own and without a date.
    expect(screen).toMatch(/^scoring 6,000 rows in 2 shards, \d+ workers?\r\n/);
    expect(screen).not.toContain('"level"');
    const bars = drawn(screen);
    expect(bars.length).toBeGreaterThan(0);
    // 40 cells at most, or what the width leaves.
    for (const bar of bars) expect(/[━─]+/.exec(bar)![0]).toHaveLength(36);
    expect(bars.at(-1)).toMatch(/^━{36} +100% {2}/);
    // Hidden while the bar is there, shown again behind it; the summary is written where the bar stood.
    expect(screen.lastIndexOf(`${ESCAPE}[?25h`)).toBeGreaterThan(screen.lastIndexOf(`${ESCAPE}[?25l`));
    expect(screen.lastIndexOf(`${ESCAPE}[?25l`)).toBeGreaterThan(-1);
    const behind = screen.slice(screen.lastIndexOf(`${ESCAPE}[?25h`));
    expect(behind.slice(0, behind.indexOf('shop: scored'))).toContain(`${ESCAPE}[0J`);
    expect(behind).not.toMatch(/[━─]/);
  });

  it('a bar fits into a narrow one', async () => {
    const { stdout: screen } = await start('run shop.yaml --replace', 80);
    expect(drawn(screen).length).toBeGreaterThan(0);
    for (const bar of drawn(screen)) {
      expect(bar.replaceAll(/\u001b\[[\d?]*\w/g, '').trimEnd().length).toBeLessThanOrEqual(80);
    }
  });

  it('the result can go elsewhere while the bar stays', async () => {
    const { stdout: screen } = await start('run shop.yaml --replace --json > result.json');
    expect(drawn(screen).length).toBeGreaterThan(0);
    const result = (await bench.rows(`SELECT content FROM read_text('${bench.path('result.json')}')`))[0]!;
    expect(onlyObject(String(result['content']))).toMatchObject({ status: 'done', rows: 6000 });
  });

  it('there is no bar with --quiet, with a JSON log, or where the terminal cannot move its cursor', async () => {
    for (const [flags, env] of [
      ['-q --json', {}],
      ['--log-format json', {}],
      ['', { TERM: 'dumb' }],
    ] as const) {
      const { code, stdout: screen } = await start(`run shop.yaml --replace ${flags} > /dev/null`, 100, env);
      expect(code).toBe(0);
      expect(screen).not.toContain(ESCAPE);
      if (flags !== '-q --json') expect(records(screen.replaceAll('\r', '')).at(-1)!.msg).toMatch(/^done: /);
      else expect(screen).toBe('');
    }
  });

  it('one that does not tell its size is taken for one of some width', async () => {
    const { stdout } = await start('run --help', 0);
    expect(stdout).toContain('Scores every row and publishes the output whole or not at all.');
    expect((await start('preview shop.yaml -n 2', 0)).stdout).toMatch(/score.*scored/s);
  });

  it('colours are for terminals, and not for those who ask for none', async () => {
    const coloured = await start('plan nowhere.yaml');
    expect(coloured.code).toBe(78);
    expect(coloured.stdout).toContain(`${ESCAPE}[31m`);
    const plain = await start('plan nowhere.yaml', 100, { NO_COLOR: '1' });
    expect(plain.stdout).toMatch(/^error PIPELINE_NOT_FOUND /);
    expect(plain.stdout).not.toContain(ESCAPE);
  });

  it('a preview leaves out features that do not fit, and says so; keys and predictions stay', async () => {
    const wide = Array.from({ length: 8 }, (_, i) => `{ name: a_long_feature_${i}, sql: x + ${i} }`).join(', ');
    const sums = `[${Array.from({ length: 8 }, (_, i) => `a_long_feature_${i}`).join(', ')}]`;
    await bench.write('models/sum.onnx', linearModel([1, 1, 1, 1, 1, 1, 1, 1]));
    await bench.write(
      'wide.yaml',
      `version: 1\nsource: { path: data, key: [id, name] }\nfeatures: [${wide}]\nmodel: { path: models/sum.onnx, inputs: { X: ${sums} } }\noutputs: { score: score }\nsink: { mode: append, path: out }\n`,
    );
    const { stdout } = await start('preview wide.yaml -n 3', 90, { NO_COLOR: '1' });
    const lines = stdout.replaceAll('\r', '').trimEnd().split('\n');
    for (const line of lines) expect(line.trimEnd().length).toBeLessThanOrEqual(90);
    expect(lines[0]!.trim().split(/ +/)).toEqual([
      'id',
      'name',
      'a_long_feature_0',
      'a_long_feature_1',
      'a_long_feature_2',
      'score',
      '_status',
    ]);
    expect(lines[2]!.trim().split(/ {2,}/)).toEqual(['0', 'item 0', '0', '1', '2', '28', 'scored']);
    expect(lines.at(-1)).toBe('5 of 12 columns are not shown; --json shows all');
  });
});
