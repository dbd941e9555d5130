import { describe, expect, it } from 'vitest';
import { ColonnadeError } from '../../src/errors.js';
import { EventQueue } from '../../src/run/event-queue.js';
import { startRun } from '../../src/run/run.js';
import { linearModel } from './onnx.js';
import { openWorkbench } from './workbench.js';

const bench = await openWorkbench();

async function rest<T>(events: AsyncIterable<T>): Promise<T[]> {
  const read: T[] = [];
  for await (const event of events) read.push(event);
  return read;
}

describe('the events of a run', () => {
  it('are kept until they are read, and end', async () => {
    const queue = new EventQueue<number>();
    queue.push(1);
    const reading = rest(queue);
    await Promise.resolve();
    queue.push(2);
    queue.close();
    expect(await reading).toEqual([1, 2]);
    expect(await rest(queue)).toEqual([]);
  });

  it('have one reader at a time: another is told so', async () => {
    const queue = new EventQueue<number>();
    const reading = rest(queue);
    const refused = (): unknown => queue[Symbol.asyncIterator]();
    expect(refused).toThrow(ColonnadeError);
    expect(refused).toThrow('are being read already');
    await expect(rest(queue)).rejects.toMatchObject({ code: 'USAGE', exitCode: 64 });
    queue.push(1);
    queue.close();
    expect(await reading).toEqual([1]);
  });

  it('go on where a loop that was left has stopped', async () => {
    const queue = new EventQueue<number>();
    for (const event of [1, 2, 3]) queue.push(event);
    for await (const event of queue) if (event === 2) break;
    queue.close();
    expect(await rest(queue)).toEqual([3]);
  });

  it('are given in order to whoever asks for several at once, who is told of the end each time', async () => {
    const queue = new EventQueue<number>();
    const reader = queue[Symbol.asyncIterator]();
    const asked = [reader.next(), reader.next(), reader.next()] as const;
    for (const event of [1, 2]) queue.push(event);
    expect([await asked[0], await asked[1]]).toEqual([1, 2].map((value) => ({ done: false, value })));
    await reader.return?.();
    expect(await asked[2]).toEqual({ done: true, value: undefined });
    queue.push(3);
    expect(await reader.next()).toEqual({ done: true, value: undefined });
  });

  it('say so of a real run as well', async () => {
    await bench.parquet('data/a.parquet', 'SELECT i::FLOAT AS x FROM range(10) t(i)');
    const model = { path: await bench.write('models/linear.onnx', linearModel([2])) };
    const run = startRun(await bench.plan({ features: ['x'], model, outputs: { score: 'score' } }));
    const reading = rest(run);
    await expect(rest(run)).rejects.toMatchObject({ code: 'USAGE' });
    expect((await reading).at(-1)).toMatchObject({ type: 'finished' });
    expect(await rest(run)).toEqual([]);
    await run.result;
  });
});
