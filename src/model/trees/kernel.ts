/** The compiled kernel: `assembly/kernel.ts`. */
import { readFileSync } from 'node:fs';

/** What the kernel exports; arguments are addresses and counts. */
export interface Kernel {
  readonly score32: (...pass: Pass) => void;
  readonly score64: (...pass: Pass) => void;
  readonly logistic: (sums: number, base: number, count: number, out: number) => void;
}

type Pass = [
  rows: number,
  rankColumns: number,
  rankColumnCount: number,
  valueColumns: number,
  valueColumnCount: number,
  values: number,
  trees: number,
  treeCount: number,
  scores: number,
  targets: number,
  how: number,
  scratch: number,
];

let compiled: WebAssembly.Module | undefined;

/** The kernel on a memory of its caller. */
export function instantiate(memory: WebAssembly.Memory): Kernel {
  compiled ??= new WebAssembly.Module(readCompiled());
  const { exports } = new WebAssembly.Instance(compiled, { env: { memory } });
  return exports as unknown as Kernel;
}

/** `dist/wasm` of the package, which is above this module in sources, in the library and in the bundled program. */
function readCompiled(): Buffer<ArrayBuffer> {
  for (let folder = new URL('.', import.meta.url); ; folder = new URL('..', folder)) {
    try {
      return readFileSync(new URL('dist/wasm/trees.wasm', folder));
    } catch (error) {
      if (folder.pathname === '/') throw error;
    }
  }
}
