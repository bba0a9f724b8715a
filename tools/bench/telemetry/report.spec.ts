import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { withTelemetryOptions } from './options.ts';
import { telemetryHeader, telemetryTable } from './report.ts';
import { TELEMETRY_ROWS } from './rows.ts';

const facts = {
  ...{ date: '2001-01-01', version: '0.1.0', node: 'v24.0.0', cpu: 'Some CPU', coreCount: 2, memoryBytes: 8 * 2 ** 30 },
  ...{ seconds: 5, slices: 30, launches: 3, brokers: 1, loadAverage: 0.34 },
};
const figures = {
  pairCount: 15,
  measured: { client: 10.5, services: 40, console: 1 },
  against: { client: 10, services: 39, console: 0 },
  ratio: 1.0306,
  interval: { low: 1.01, high: 1.06, confidence: 0.965 },
  byLaunch: [1.02, 1.04],
};

describe('the telemetry report', () => {
  it('states machine, workload and method', () => {
    const header = telemetryHeader(facts);
    for (const part of [
      'Some CPU, 2 cores, 8 GiB',
      '1 broker, replication 1',
      '30 slices of 5 s',
      '15 pairs',
      '3 starts',
    ])
      expect(header).toContain(part);
    expect(header).toMatch(/open loop, both sides at the same fixed rate, 40 %/);
  });

  it('has a line for each row with ratio, interval, target and what each end spent', () => {
    const [sampled, , follow] = TELEMETRY_ROWS;
    const table = telemetryTable([
      { row: sampled!, ratePerSecond: 12_345.6, figures },
      { row: follow!, ratePerSecond: 100, figures: { ...figures, pairCount: 2, interval: undefined } },
    ]);
    expect(table.split('\n').slice(2)).toEqual([
      '| batches, read along by a group | 1 % traced | 12,346 | **1.031** (1.020, 1.040) | 1.010 to 1.060 | at most 1.05 | 10.50 | 40.00 | 1.00 | 10.00 | 39.00 |',
      '| unary calls of one record | traces that are asked for, and nobody asks | 100 | **1.031** (1.020, 1.040) | none of 2 pairs |  | 10.50 | 40.00 | 1.00 | 10.00 | 39.00 |',
      '',
    ]);
  });

  it('has a name of its own for every row', () => {
    expect(new Set(TELEMETRY_ROWS.map(({ name }) => name)).size).toBe(TELEMETRY_ROWS.length);
  });
});

describe('the options of the telemetry bench', () => {
  const parse = (...args: string[]) =>
    withTelemetryOptions(new Command('telemetry').exitOverride().configureOutput({ writeErr: () => undefined }))
      .parse(args, { from: 'user' })
      .opts();

  it('are the long form by themselves', () => {
    expect(parse()).toMatchObject({ seconds: 5, slices: 30, launches: 3, brokers: 3, json: false });
    expect(parse('--seconds', '0.5', '--slices', '4', '--rate', '100')).toMatchObject({
      seconds: 0.5,
      slices: 4,
      rate: 100,
    });
  });

  it.each([
    ['--slices', '3', 'even'],
    ['--slices', '0', 'from 2'],
    ['--seconds', '0', 'above 0'],
    ['--brokers', '17', 'from 1 to 16'],
  ])('refuse %s %s', (flag, value, why) => expect(() => parse(flag, value)).toThrow(why));
});
