/**
 * Starts a program of the bundle from code that V8 has compiled before: `bundle.mjs` puts this file beside both. The compiled
 * code fits one version of Node; with any other V8 refuses it, and compiles the bundle as it would any file.
 */
'use strict';
const { readFileSync } = require('node:fs');
const { wrap } = require('node:module');
const { join } = require('node:path');
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
 * @returns {{ script: Script, compiled: string, untuneV8: () => void }} the bundle, where its compiled code lies, and what
 *   sets V8's flags as they must be when that is made
 */
module.exports = (name) => {
  const script = new Script(wrap(readFileSync(filename, 'latin1')), { filename, cachedData: readCompiled() });
  const bundle = { exports: {} };
  script.runInThisContext().call(bundle.exports, bundle.exports, require, bundle, filename, __dirname);
  bundle.exports.tuneV8();
  void bundle.exports.programs[name]();
  return { script, compiled, untuneV8: bundle.exports.untuneV8 };
};
