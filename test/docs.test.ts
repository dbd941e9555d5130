import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { ERROR_CODES } from '../src/errors.js';
import { parsePipeline } from '../src/pipeline/load.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const read = (path: string): string => readFileSync(`${root}${path}`, 'utf8');
const pages = [
  'README.md',
  'ARCHITECTURE.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  ...readdirSync(`${root}docs`)
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];

describe('the documentation', () => {
  it('lists every error code with its exit status', () => {
    const rows = [...read('docs/errors.md').matchAll(/^\| `([A-Z_]+)` +\| (\d+) +\|/gm)];
    expect(Object.fromEntries(rows.map(([, code, exit]) => [code, Number(exit)]))).toEqual(ERROR_CODES);
  });

  it.each(pages)('shows only pipelines that parse in %s', (page) => {
    const blocks = [...read(page).matchAll(/^```yaml\n(.*?)^```/gms)]
      .map(([, text]) => text!)
      .filter((text) => /^version:/m.test(text));
    for (const text of blocks) expect(() => parsePipeline(text, `${page}.yaml`, { env: {} })).not.toThrow();
  });

  it('names modules and folders that exist in ARCHITECTURE.md', () => {
    const named = [...read('ARCHITECTURE.md').matchAll(/`((?:test\/[\w/]+)|(?:[\w./-]+\/[\w-]+\.(?:ts|mjs)))`/g)].map(
      ([, path]) => path!,
    );
    expect(named.length).toBeGreaterThan(20);
    expect(named.filter((path) => !existsSync(`${root}${path}`) && !existsSync(`${root}src/${path}`))).toEqual([]);
  });

  it.each(pages)('links only to files that exist from %s', (page) => {
    const folder = page.includes('/') ? 'docs/' : '';
    const links = [...read(page).matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)].map(([, link]) => link!);
    expect(links.filter((link) => !existsSync(`${root}${folder}${link}`))).toEqual([]);
  });
});
