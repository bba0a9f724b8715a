import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { chooseProduceRows, withProduceOptions } from './options.ts';
import type { ProduceOptions } from './options.ts';
import { PRODUCE_ROWS } from './rows.ts';
import { BASE } from './settings.ts';

function parse(...args: string[]): ProduceOptions {
  const command = withProduceOptions(new Command('produce')).option('--rows <names>').exitOverride();
  return command
    .configureOutput({ writeErr: () => undefined })
    .parse(args, { from: 'user' })
    .opts();
}

describe('the options of the produce bench', () => {
  it('take the rows there are when no setting is named', () => {
    expect(chooseProduceRows(parse())).toBe(PRODUCE_ROWS);
    expect(chooseProduceRows(parse('--rows', 'codec', '--rate', '500')).map(({ name }) => name)).toEqual([
      'codec-zstd',
      'codec-lz4',
      'codec-gzip',
    ]);
  });

  it('make a row of all settings that are named, beside the base', () => {
    const small = ['--record-bytes', '100', '--delivery', 'direct', '--partitions', '64', '--codec', 'zstd'];
    const fast = ['--acks', 'leader', '--flush', 'os', '--replication', '1', '--linger-ms', '5'];
    const measured = {
      delivery: 'direct',
      recordBytes: 100,
      partitionCount: 64,
      acks: 'leader',
      flush: 'os',
      replicationFactor: 1,
      codec: 'zstd',
      lingerMs: 5,
    };
    expect(chooseProduceRows(parse(...small, ...fast))).toEqual([{ name: 'own', measured, against: BASE }]);
    expect(chooseProduceRows(parse('--linger-ms', '0'))[0]?.measured).toEqual(BASE);
  });

  it('refuse settings beside named rows', () => {
    expect(() => chooseProduceRows(parse('--rows', 'codec', '--acks', 'leader'))).toThrow('leave the settings out');
  });

  it.each([
    ['--record-bytes', '63', 'from 64 to 1048576'],
    ['--partitions', '1.5', 'from 1 to 10000'],
    ['--replication', '4', 'from 1 to 3'],
    ['--rate', '', 'from 1 to'],
    ['--codec', 'snappy', 'none, zstd, lz4, gzip'],
  ])('refuse %s "%s" with what is allowed', (flag, value, allowed) => {
    expect(() => parse(flag, value)).toThrow(allowed);
  });
});
