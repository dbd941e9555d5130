import { describe, expect, it } from 'vitest';
import { dropValues } from '../../src/source/young-garbage.js';

describe('buffers that a scan has dropped', () => {
  it('are freed before tens of megabytes of them are there, and not for a few', () => {
    const buffers = (): number => process.memoryUsage().arrayBuffers;
    const before = buffers();
    let most = 0;
    // As DuckDB's binding makes them: 2,048 values of 8 bytes.
    const drop = (count: number): void => {
      for (let i = 0; i < count; i += 1) {
        Buffer.from(new ArrayBuffer(16_384));
        dropValues(2048);
        if (i % 32 === 0) most = Math.max(most, buffers() - before);
      }
    };
    drop(64);
    expect(buffers() - before).toBeGreaterThan(512 * 1024);
    // 96 MB. V8 by itself lets 32 of them come together.
    drop(6144);
    expect(most).toBeLessThan(16 << 20);
    expect('gc' in globalThis).toBe(false);
  });
});
