/** Compiles the AssemblyScript of the package into `dist/wasm`. Run by `npm run build`. */
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import asc from 'assemblyscript/asc';

const root = fileURLToPath(new URL('..', import.meta.url));
mkdirSync(path.join(root, 'dist/wasm'), { recursive: true });
for (const name of ['trees', 'pack']) {
  const { error, stderr } = await asc.main([
    `src/model/assembly/${name}.ts`,
    ...['--baseDir', root],
    ...['--outFile', `dist/wasm/${name}.wasm`],
    ...['-O3', '--converge', '--runtime', 'stub', '--noAssert', '--enable', 'simd', '--importMemory'],
  ]);
  if (error !== null) {
    process.stderr.write(stderr.toString());
    throw error;
  }
}
