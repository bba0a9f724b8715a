import { expect, it } from 'vitest';
import { SyncScheduler } from './group-commit.ts';

it('runs at most the allowed number at once, in the order of asking', async () => {
  const scheduler = new SyncScheduler(2);
  const started: number[] = [];
  const finish: (() => void)[] = [];
  const runs = [0, 1, 2, 3].map((index) =>
    scheduler.run(async () => {
      started.push(index);
      await new Promise<void>((resolve) => finish.push(resolve));
    }),
  );
  await Promise.resolve();
  expect(started).toEqual([0, 1]);
  finish[0]?.();
  await runs[0];
  await new Promise(setImmediate);
  expect(started).toEqual([0, 1, 2]);
  finish[1]?.();
  finish[2]?.();
  await runs[2];
  await new Promise(setImmediate);
  finish[3]?.();
  await Promise.all(runs);
  expect(started).toEqual([0, 1, 2, 3]);
});

it('gives the place on when a write fails', async () => {
  const scheduler = new SyncScheduler(1);
  const failing = scheduler.run(() => Promise.reject(new Error('EIO')));
  const next = scheduler.run(() => Promise.resolve('done'));
  await expect(failing).rejects.toThrow('EIO');
  expect(await next).toBe('done');
});
