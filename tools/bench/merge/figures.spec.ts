import { expect, it } from 'vitest';
import { fairnessOf, growthOf, sideFigures } from './figures.ts';
import type { MergeRun } from './figures.ts';
import { checkOpenFiles } from './options.ts';
import { mergeTable } from './report.ts';

const RUN: MergeRun = {
  seconds: 2,
  counts: [100, 80, 90],
  errors: { QUEUE_FULL: 1 },
  batchedRecordCount: 300,
  batchCount: 10,
  brokersCpuMs: 30,
  gatewayCpuMs: 60,
  residentBytes: [100, 100, 110],
};

it('tells records a second, records of a batch, and CPU time for each record', () => {
  const figures = sideFigures([RUN]);
  expect(figures).toMatchObject({ recordsPerSecond: 135, recordsPerBatch: 30, brokersCpuUs: 100, gatewayCpuUs: 200 });
});

it('takes the least fair run and the one that grew most, and adds the errors up', () => {
  const figures = sideFigures([RUN, { ...RUN, counts: [100, 20], residentBytes: [100, 200, 300] }]);
  expect(fairnessOf(figures.fairness)).toBe(0.2);
  expect(figures.residentGrowth).toBe(3);
  expect(figures.errors).toEqual({ QUEUE_FULL: 2 });
});

it('holds the last third of a run against the first', () => {
  expect(growthOf([1, 3, 9, 9, 2, 4])).toBe(1.5);
  expect(() => growthOf([1, 2])).toThrow('fewer than three');
});

it('says what to do when so many connections cannot be opened', () => {
  expect(() => checkOpenFiles(2000, 1024)).toThrow('run ulimit -n 2200 before');
  checkOpenFiles(2000, 20_000);
});

it('tells how many times the CPU time of the brokers goes into merging', () => {
  const on = sideFigures([RUN]);
  const off = sideFigures([{ ...RUN, brokersCpuMs: 300, batchCount: 300 }]);
  const table = mergeTable({ on, off });
  expect(table).toContain('| broker CPU for each record | 100 µs | 1,000 µs | 0.10 | ratio at most 0.20 |');
  expect(table).toContain('| records of a batch | 30.0 | 1.0 | 30.00 | at least 20 |');
});
