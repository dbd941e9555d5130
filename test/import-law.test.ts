import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const src = fileURLToPath(new URL('../src', import.meta.url));

/** From the ground up: a folder may import what is on a lower floor, never a sibling or what is above. */
const FLOORS = [
  ['errors.ts', 'system-errors.ts', 'file-hash.ts', 'v8-flags.ts'],
  ['pipeline'],
  ['plan'],
  ['source', 'model', 'validate', 'parquet'],
  ['score', 'sink', 'commit'],
  ['run'],
  ['job'],
  ['cli', 'server', 'index.ts'],
  ['programs.ts'],
];

/** Packages that only some folders know: the model's `yaml` reads MLflow's `MLmodel`. */
const OWNERS: Readonly<Record<string, readonly string[]>> = {
  '@duckdb/node-api': ['source'],
  '@duckdb/node-bindings': ['source'],
  'onnxruntime-node': ['model'],
  'onnxruntime-node/dist/binding.js': ['model'],
  '@bufbuild/protobuf': ['model'],
  'parquet-wasm': ['parquet'],
  yaml: ['pipeline', 'model'],
  zod: ['pipeline'],
  yargs: ['cli'],
  pino: ['cli'],
};

interface Import {
  readonly file: string;
  readonly room: string;
  readonly specifier: string;
}

function roomOf(path: string): string {
  return relative(src, path).split('/')[0]!;
}

const imports: Import[] = readdirSync(src, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .flatMap((name) => {
    const file = join(src, name);
    const text = readFileSync(file, 'utf8');
    const specifiers = [...text.matchAll(/(?:from|import|here)\s*\(?\s*'([^']+)'/g)].map((match) => match[1]!);
    return specifiers.map((specifier) => ({ file, room: roomOf(file), specifier }));
  });

const floorOf = (room: string): number => FLOORS.findIndex((rooms) => rooms.includes(room));

describe('the import law', () => {
  it('knows every room of src', () => {
    expect([...new Set(imports.map(({ room }) => room))].filter((room) => floorOf(room) < 0)).toEqual([]);
  });

  it('lets a room import only from lower floors', () => {
    const broken = imports
      .filter(({ specifier }) => specifier.startsWith('.'))
      .map(({ file, room, specifier }) => ({
        file: relative(src, file),
        room,
        target: roomOf(resolve(dirname(file), specifier.replace(/\.js$/, '.ts'))),
      }))
      .filter(({ room, target }) => target !== room && target !== '..' && floorOf(target) >= floorOf(room))
      .filter(({ room, target }) => !(floorOf(room) === 0 && floorOf(target) === 0))
      .map(({ file, target }) => `${file} imports ${target}`);
    expect(broken).toEqual([]);
  });

  it('keeps DuckDB, ONNX Runtime and the other engines each in one room', () => {
    const broken = imports
      .map(({ file, room, specifier }) => ({
        file: relative(src, file),
        room,
        owner:
          OWNERS[
            specifier
              .split('/')
              .slice(0, specifier.startsWith('@') ? 2 : 1)
              .join('/')
          ],
        specifier,
      }))
      .filter(({ room, owner }) => owner !== undefined && !owner.includes(room))
      .map(({ file, specifier }) => `${file} imports ${specifier}`);
    expect(broken).toEqual([]);
  });

  it('reads the environment and the arguments only in the command line', () => {
    const broken = readdirSync(src, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts') && !name.startsWith('cli/'))
      .filter((name) => /process\.(env|argv)\b/.test(readFileSync(join(src, name), 'utf8')));
    expect(broken).toEqual([]);
  });
});
