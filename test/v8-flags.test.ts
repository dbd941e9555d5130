import { once } from 'node:events';
import { cachedDataVersionTag } from 'node:v8';
import { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, it } from 'vitest';
import { startThread, tuneV8, untuneV8 } from '../src/v8-flags.js';

/** What compiled code is told by that fits: it depends on the flags. */
const setting = cachedDataVersionTag;
const byDefault = setting();
const thread = (code: string): Worker => new Worker(code, { eval: true });

afterEach(untuneV8);

describe('the flags of V8', () => {
  it('are its own defaults again, to the last bit, once they are taken back', () => {
    tuneV8();
    expect(setting()).not.toBe(byDefault);
    untuneV8();
    expect(setting()).toBe(byDefault);
  });

  it('are the defaults while threads start, and ours once the last of them has begun', async () => {
    tuneV8();
    const ours = setting();
    const threads = [startThread(() => thread('')), startThread(() => thread(''))];
    expect(setting()).toBe(byDefault);
    await Promise.all(threads.map((each) => once(each, 'exit')));
    expect(setting()).toBe(ours);
  });

  it('are ours again where a thread could not be started', () => {
    tuneV8();
    const ours = setting();
    const failing = (): Worker => {
      throw new Error('no thread');
    };
    expect(() => startThread(failing)).toThrow('no thread');
    expect(setting()).toBe(ours);
  });

  it('stay as they are where nobody has set them', async () => {
    const started = startThread(() => thread(''));
    expect(setting()).toBe(byDefault);
    await once(started, 'exit');
    expect(setting()).toBe(byDefault);
  });
});
