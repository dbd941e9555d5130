import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

/** A sample of what `npm run fuzz` runs by the ten thousands, and `.ci/run` by the thousands. */
describe('a few hundred damaged and hostile inputs', () => {
  it('end in an error with a code and a way out, or in an output that other readers find complete and right', async () => {
    const kept = mkdtempSync(join(tmpdir(), 'colonnade-fuzz-kept-'));
    try {
      const script = fileURLToPath(new URL('fuzz.mjs', import.meta.url));
      const args = [script, '--cases', '300', '--seed', '7', '--workers', '1', '--keep', kept];
      // It is rejected, with what was found, where there is a finding.
      const { stdout } = await promisify(execFile)(process.execPath, args, { maxBuffer: 1 << 26 });
      expect(stdout).toMatch(/\b\d{3} inputs in .*, 0 findings/);
      // Of every kind there was one.
      for (const kind of ['cut', 'footer', 'fields', 'page', 'yaml', 'sql', 'model'])
        expect(stdout).toContain(`| ${kind} | `);
    } finally {
      rmSync(kept, { recursive: true, force: true });
    }
  });
});
