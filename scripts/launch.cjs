/**
 * Starts a program of the bundle from code that V8 has compiled before: `bundle.mjs` puts this file beside both. The compiled
 * code fits one version of Node; with any other V8 refuses it, and compiles the bundle as it would any file.
 */
'use strict';
const { readFileSync } = require('node:fs');
const { wrap } = require('node:module');
const { join } = require('node:path');
const { setFlagsFromString } = require('node:v8');
const { Script } = require('node:vm');

const filename = join(__dirname, 'programs.cjs');
const compiled = `${filename}.compiled`;

function readCompiled() {
  try {
    return readFileSync(compiled);
  } catch {
    return undefined;
  }
}

/**
 * @param {string} name one of `programs`
 * @returns {{ script: Script, compiled: string }} the bundle, and where its compiled code lies
 */
module.exports = (name) => {
  const script = new Script(wrap(readFileSync(filename, 'latin1')), { filename, cachedData: readCompiled() });
  const bundle = { exports: {} };
  script.runInThisContext().call(bundle.exports, bundle.exports, require, bundle, filename, __dirname);
  // Loading has made V8's young generation as large as a run needs it. It would go on growing, by 20 MB, the more the longer
  // a run takes. (5 M rows: 7 MB less at the peak, in the same time.) Compiled code fits one setting of the flags, so this
  // comes after it was read.
  setFlagsFromString('--semi-space-growth-factor=1');
  // A run has few loops that last, and many functions that are called some thousand times: by its default V8 would spend a
  // tenth of the processor time of a run on compiling these anew. (5 M rows: 0.07 of 1.35 s less, 200 columns: the same.)
  setFlagsFromString('--interrupt-budget=600000');
  void bundle.exports.programs[name]();
  return { script, compiled };
};
