import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { takeEpoch } from '../../src/commit/epoch.js';
import { rejection } from '../run/workbench.js';
import { testFolder } from './folder.js';

/** What happens right before the next link, once: a process that is stopped there and woken later. */
const stopped: { meanwhile?: (() => Promise<void>) | undefined } = {};

vi.mock('node:fs/promises', async (load) => {
  const actual = await load<typeof import('node:fs/promises')>();
  return {
    ...actual,
    link: async (...args: Parameters<typeof actual.link>) => {
      const { meanwhile } = stopped;
      stopped.meanwhile = undefined;
      await meanwhile?.();
      return actual.link(...args);
    },
  };
});

const folder = await testFolder();

describe('a run that is stopped while it takes an output', () => {
  it('does not get a number that was taken and deleted meanwhile', async () => {
    const epochs = join(folder, 'epochs');
    await (await takeEpoch(epochs, '/out', 'first')).release();
    stopped.meanwhile = async () => {
      await (await takeEpoch(epochs, '/out', 'second')).release();
      await takeEpoch(epochs, '/out', 'third');
    };
    const error = await rejection(takeEpoch(epochs, '/out', 'late'));
    expect(error.code).toBe('OUTPUT_CONFLICT');
    expect(error.message).toContain('run third');
    expect(await readdir(epochs)).toEqual(['3.json']);
  });
});
