/** WebAssembly of the package: `assembly/`, compiled by `npm run build`. */
import { readFileSync } from 'node:fs';

const compiled = new Map<string, WebAssembly.Module>();

/** What a module exports, on a memory of its caller. @param name of its file in `assembly/` */
export function instantiate(name: 'pack' | 'trees', memory: WebAssembly.Memory): unknown {
  const module = compiled.get(name) ?? new WebAssembly.Module(readCompiled(`${name}.wasm`));
  compiled.set(name, module);
  return new WebAssembly.Instance(module, { env: { memory } }).exports;
}

/** `dist/wasm` of the package is above this module in sources, in the library and in the bundled program. */
function readCompiled(file: string): Buffer<ArrayBuffer> {
  for (let folder = new URL('.', import.meta.url); ; folder = new URL('..', folder)) {
    try {
      return readFileSync(new URL(`dist/wasm/${file}`, folder));
    } catch (error) {
      if (folder.pathname === '/') throw error;
    }
  }
}
