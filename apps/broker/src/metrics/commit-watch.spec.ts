import { MetricRegistry } from '@partita/telemetry';
import { expect, it } from 'vitest';
import { CommitWatch } from './commit-watch.ts';

function watch() {
  const time = { nowMs: 1000 };
  const clock = { monotonicMs: () => time.nowMs, wallMs: () => 0 };
  const series = new MetricRegistry().histogram('partita.broker.commit.duration').of();
  return { time, series, commits: new CommitWatch(clock, series) };
}

it('measures each write from when it is durable to when all of it is committed', () => {
  const { time, series, commits } = watch();
  commits.durable(10n);
  time.nowMs += 2;
  commits.durable(20n);
  time.nowMs += 2;
  commits.committed(15n);
  expect([series.count, series.sum]).toEqual([1, 0.004]);
  time.nowMs += 6;
  commits.committed(20n);
  expect([series.count, series.sum]).toEqual([2, 0.012]);
  commits.committed(30n);
  expect(series.count).toBe(2);
});

it('keeps a bounded number of writes that wait for followers', () => {
  const { time, series, commits } = watch();
  for (let end = 1n; end <= 5000n; end += 1n) commits.durable(end);
  time.nowMs += 1000;
  commits.committed(5000n);
  expect([series.count, series.sum]).toEqual([1000, 1000]);
});
