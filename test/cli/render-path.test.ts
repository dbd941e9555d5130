import { describe, expect, it } from 'vitest';
import { shortenPaths } from '../../src/cli/render/path.js';

describe('paths in a message', () => {
  it('are shown relative to the folder that the user is in', () => {
    expect(shortenPaths('/data/a.parquet is gone', '/data')).toBe('a.parquet is gone');
    expect(shortenPaths('two files: /data/a and "/data/b" (/data/c)', '/data')).toBe('two files: a and "b" (c)');
  });

  it('are whole where they lie elsewhere, whatever their folders are called', () => {
    for (const text of ['/mnt/data/a.parquet is gone', '/datasets/a', 'there is nothing', '/data', 'a /x/data/data/b'])
      expect(shortenPaths(text, '/data')).toBe(text);
    expect(shortenPaths('/a/b', '/')).toBe('/a/b');
  });
});
