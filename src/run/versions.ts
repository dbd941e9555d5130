/** Versions of what computes and writes: a repeated run gives the same bytes with the same versions. */
import { readFileSync } from 'node:fs';

/** Dependencies are pinned exactly, so the package's own file tells which are at work. */
interface PackageFile {
  readonly version: string;
  readonly dependencies: Readonly<Record<string, string>>;
}

/**
 * The package's own file: the nearest above the folder of this module, which lies deeper in sources than in the bundled
 * program. That folder may have one that only says how its modules are written.
 */
function packageFile(): PackageFile {
  for (let folder = new URL('..', import.meta.url); ; folder = new URL('..', folder)) {
    try {
      return JSON.parse(readFileSync(new URL('package.json', folder), 'utf8')) as PackageFile;
    } catch (error) {
      if (folder.pathname === '/') throw error;
    }
  }
}

let known: Readonly<Record<string, string>> | undefined;

/** Versions by name: `colonnade`, `node`, `duckdb`, `onnxruntime`, `parquet-wasm`. */
export function versions(): Readonly<Record<string, string>> {
  if (known !== undefined) return known;
  const { version, dependencies } = packageFile();
  known = Object.freeze({
    colonnade: version,
    node: process.versions.node,
    duckdb: dependencies['@duckdb/node-api']!,
    onnxruntime: dependencies['onnxruntime-node']!,
    'parquet-wasm': dependencies['parquet-wasm']!,
  });
  return known;
}
