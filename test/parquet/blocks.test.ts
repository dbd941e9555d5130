import { existsSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { Appender } from '../../src/parquet/blocks.js';

describe('appending to a full disk', () => {
  // The device is opened, never created or replaced: it stays what it is.
  it.skipIf(!existsSync('/dev/full'))('says so and names the file', async () => {
    const handle = await open('/dev/full', 'r+');
    try {
      const appender = new Appender(handle, '/data/out/part-0.parquet', 0);
      await appender.write(Buffer.alloc(10));
      await expect(appender.flush()).rejects.toMatchObject({
        code: 'DISK_FULL',
        message: expect.stringContaining('/data/out/part-0.parquet') as string,
      });
    } finally {
      await handle.close();
    }
  });
});
