/** Versions of what computes and writes: a repeated run gives the same bytes with the same versions. */
import { createRequire } from 'node:module';

/** Dependencies are pinned exactly, so the package's own file tells which are at work. */
interface PackageFile {
  readonly version: string;
  readonly dependencies: Readonly<Record<string, string>>;
}

let known: Readonly<Record<string, string>> | undefined;

/** Versions by name: `colonnade`, `node`, `duckdb`, `onnxruntime`, `parquet-wasm`. */
export function versions(): Readonly<Record<string, string>> {
  if (known !== undefined) return known;
  const { version, dependencies } = createRequire(import.meta.url)('../../package.json') as PackageFile;
  known = Object.freeze({
    colonnade: version,
    node: process.versions.node,
    duckdb: dependencies['@duckdb/node-api']!,
    onnxruntime: dependencies['onnxruntime-node']!,
    'parquet-wasm': dependencies['parquet-wasm']!,
  });
  return known;
}
