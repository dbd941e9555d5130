import { copyFile, rename, rm, truncate, utimes, writeFile } from 'node:fs/promises';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import type { ColonnadeError } from '../../src/errors.js';
import { readFooter } from '../../src/parquet/footer.js';
import { checkUnchanged, readSameFooter } from '../../src/parquet/unchanged.js';
import type { Fingerprint } from '../../src/plan/facts.js';
import { openWorkshop } from './duckdb.js';

const shop = await openWorkshop();
afterAll(() => shop.close());

describe('a file that was planned with', () => {
  let path: string;
  let fingerprint: Fingerprint;
  beforeEach(async () => {
    path = await shop.parquet('planned.parquet', 'select i from range(5000) t(i)');
    ({ fingerprint } = await readFooter(path));
  });

  const thrown = (look: () => unknown): ColonnadeError => {
    try {
      look();
    } catch (error) {
      return error as ColonnadeError;
    }
    throw new Error('it was taken for the same');
  };

  const faultOf = (): ColonnadeError => {
    const fault = thrown(() => checkUnchanged({ path, fingerprint }));
    // Both ways of looking tell the same.
    expect(thrown(() => readSameFooter({ path, fingerprint }))).toMatchObject({
      code: fault.code,
      message: fault.message,
    });
    return fault;
  };

  it('is taken while it is the same', async () => {
    checkUnchanged({ path, fingerprint });
    expect(readSameFooter({ path, fingerprint }).rows).toBe(5000);
  });

  it('is told to have changed, and how', async () => {
    const changes: readonly (readonly [change: () => Promise<void>, how: RegExp])[] = [
      [() => utimes(path, new Date(), new Date(0)), /it was written to/],
      [
        async () => {
          await copyFile(path, shop.path('other'));
          await rename(shop.path('other'), path);
        },
        /another file has taken its name/,
      ],
      [() => writeFile(path, 'x', { flag: 'a' }), /it is no whole Parquet file any more/],
      [() => truncate(path, 100), /it is no whole Parquet file any more/],
      [
        async () => {
          const other = await shop.parquet('larger.parquet', 'select i, i * 2 as j from range(9000) t(i)');
          await copyFile(other, path);
        },
        /it had \d+ bytes, it has \d+/,
      ],
    ];
    for (const [change, how] of changes) {
      path = await shop.parquet('planned.parquet', 'select i from range(5000) t(i)');
      ({ fingerprint } = await readFooter(path));
      await change();
      expect(faultOf()).toMatchObject({ code: 'INPUT_CHANGED', message: expect.stringMatching(how) as string });
    }
  });

  it('is told to be gone', async () => {
    await rm(path);
    expect(faultOf().code).toBe('INPUT_GONE');
  });
});
