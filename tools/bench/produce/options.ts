/** The options of `npm run bench -- produce`: its rows, or one of the user's own making. */
import { InvalidArgumentError, Option } from 'commander';
import type { Command } from 'commander';
import { PARTITION_COUNT_MAX, RECORD_BYTES_MAX } from '@partita/domain';
import type { BenchOptions } from '../bench-run.ts';
import { chooseRows } from '../choose-rows.ts';
import { BROKER_COUNT } from '../workload.ts';
import { PRODUCE_ROWS } from './rows.ts';
import type { ProduceRow } from './rows.ts';
import { ACKS, BASE, CODECS, DELIVERIES, FLUSHES } from './settings.ts';
import type { ProduceSettings } from './settings.ts';

/** As commander names them: undefined = not given. */
export interface ProduceOptions extends BenchOptions {
  readonly delivery?: ProduceSettings['delivery'];
  readonly recordBytes?: number;
  readonly partitions?: number;
  readonly acks?: ProduceSettings['acks'];
  readonly flush?: ProduceSettings['flush'];
  readonly replication?: number;
  readonly codec?: ProduceSettings['codec'];
  readonly lingerMs?: number;
  /** Records a second of the latency runs. */
  readonly rate?: number;
  /** Folder for CPU profiles of the services; undefined = none. */
  readonly profile?: string;
}

/** Key, framing and the start of a value. */
const RECORD_BYTES_MIN = 64;
const LINGER_MS_MAX = 10_000;
const RATE_MAX = 10_000_000;

export function withProduceOptions(command: Command): Command {
  const choice = (flags: string, text: string, choices: readonly string[], base: string): Option =>
    new Option(flags, `${text}; default: ${base}`).choices(choices);
  const number = (flags: string, text: string, [min, max]: readonly [number, number], base: number | string): Option =>
    new Option(flags, `${text}, ${min} to ${max}; default: ${base}`).argParser(wholeNumber(min, max));
  const own = [
    choice('--delivery <form>', 'who makes batches: gateway, SDK, or SDK without gateway', DELIVERIES, BASE.delivery),
    number(
      '--record-bytes <n>',
      'bytes of a record, serialised',
      [RECORD_BYTES_MIN, RECORD_BYTES_MAX],
      BASE.recordBytes,
    ),
    number('--partitions <n>', 'partitions of the topic', [1, PARTITION_COUNT_MAX], BASE.partitionCount),
    choice('--acks <who>', 'who must have a record before it counts', ACKS, BASE.acks),
    choice('--flush <mode>', 'what makes it durable', FLUSHES, BASE.flush),
    number('--replication <n>', 'replicas of the topic', [1, BROKER_COUNT], BASE.replicationFactor),
    choice('--codec <name>', 'how batches are packed', CODECS, BASE.codec),
    number(
      '--linger-ms <n>',
      'milliseconds that the producer waits for more records',
      [0, LINGER_MS_MAX],
      BASE.lingerMs,
    ),
    number('--rate <n>', 'records a second of the latency runs', [1, RATE_MAX], 'half of what the row sent'),
  ];
  for (const option of own) command.addOption(option);
  command.option('--profile <folder>', 'writes CPU profiles of gateway and brokers there, and summary.md');
  return command.addHelpText('after', HELP);
}

const HELP = `
Any of --delivery, --record-bytes, --partitions, --acks, --flush, --replication, --codec and --linger-ms makes one row of
your own, beside the first of the rows above; what is not named is as there. --rate goes with --rows too.`;

/** Rows by --rows, or the one that the settings make. Throws an Error when both are named. */
export function chooseProduceRows(options: ProduceOptions): readonly ProduceRow[] {
  const { delivery, recordBytes, acks, flush, codec, lingerMs } = options;
  const { partitions: partitionCount, replication: replicationFactor } = options;
  const wanted = { delivery, recordBytes, partitionCount, acks, flush, replicationFactor, codec, lingerMs };
  const changed = Object.fromEntries(Object.entries(wanted).filter(([, value]) => value !== undefined));
  if (Object.keys(changed).length === 0) return chooseRows(PRODUCE_ROWS, options.rows);
  if (options.rows !== undefined) throw new Error('--rows names rows as they are: leave the settings out, or --rows');
  return [{ name: 'own', measured: { ...BASE, ...changed }, against: BASE }];
}

function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (Number.isInteger(value) && text.trim() !== '' && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`expected a whole number from ${min} to ${max}`);
  };
}
