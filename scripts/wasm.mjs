/** Compiles the AssemblyScript of the package into `dist/wasm`. Run by `npm run build`. */
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import asc from 'assemblyscript/asc';

const root = fileURLToPath(new URL('..', import.meta.url));
mkdirSync(path.join(root, 'dist/wasm'), { recursive: true });
const { error, stderr } = await asc.main([
  'src/model/trees/assembly/kernel.ts',
  ...['--baseDir', root],
  ...['--outFile', 'dist/wasm/trees.wasm'],
  ...['-O3', '--converge', '--runtime', 'stub', '--noAssert', '--enable', 'simd', '--importMemory'],
]);
if (error !== null) {
  process.stderr.write(stderr.toString());
  throw error;
}
