export { tuneV8, untuneV8 } from './v8-flags.js';

/**
 * What is bundled: the programs of the package by the names of their files in `dist/bin`. Each starts when its module is
 * imported.
 */
export const programs: Readonly<Record<string, () => Promise<unknown>>> = {
  colonnade: () => import('./cli/main.js'),
  'worker-process': () => import('./run/worker-process.js'),
};
