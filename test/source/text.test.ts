import { expect, it } from 'vitest';
import { utf8Values } from '../../src/source/text.js';

it('refuses more text than the offsets of a column can tell, before it copies any', () => {
  const strings = new DataView(new ArrayBuffer(3 * 16));
  for (let row = 0; row < 3; row += 1) strings.setUint32(row * 16, 2 ** 30, true);
  let thrown: unknown;
  try {
    utf8Values(strings, 3, undefined);
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toMatchObject({
    code: 'COLUMN_TYPE',
    message: expect.stringContaining(String(3 * 2 ** 30)) as unknown,
  });
});
