import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { withCompareOptions } from './options.ts';
import type { CompareOptions } from './options.ts';

function parse(...args: string[]): CompareOptions {
  const command = withCompareOptions(new Command('report')).exitOverride();
  return command
    .configureOutput({ writeErr: () => undefined })
    .parse(args, { from: 'user' })
    .opts();
}

describe('the options of the comparison', () => {
  it('ask for no peer when none is named: nothing is fetched that nobody wants', () => {
    const options = parse();
    expect(options.peers).toEqual([]);
    expect(options.recordBytes).toEqual([1024]);
    expect(options.flush).toEqual(['os', 'fsync']);
  });

  it('take lists by comma, each choice once', () => {
    const lists = ['--peers', 'nats,kafka,nats', '--record-bytes', '100,10240,100', '--flush', 'fsync'];
    const { peers, recordBytes, flush } = parse(...lists);
    expect(peers).toEqual(['kafka', 'nats']);
    expect(recordBytes).toEqual([100, 10240]);
    expect(flush).toEqual(['fsync']);
  });

  it.each([
    ['--peers', 'pulsar', 'there are: kafka, nats'],
    ['--flush', '', 'there are: os, fsync'],
    ['--record-bytes', '100,63', 'a whole number from 64'],
    ['--rounds', '1.5', 'a whole number from 1'],
    ['--seconds', '0', 'a number from 0.1'],
    ['--seconds', '', 'a number from 0.1'],
  ])('refuse %s "%s" with what is allowed', (flag, value, allowed) => {
    expect(() => parse(flag, value)).toThrow(allowed);
  });
});
