/** The compiled kernel: `assembly/trees.ts`. */
import { instantiate } from '../wasm.js';

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

/** The kernel on a memory of its caller. */
export function instantiateKernel(memory: WebAssembly.Memory): Kernel {
  return instantiate('trees', memory) as Kernel;
}
