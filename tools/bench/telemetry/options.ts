/** The options of `npm run bench -- telemetry`. */
import { InvalidArgumentError } from 'commander';
import type { Command } from 'commander';
import type { ReportOptions } from '../bench-run.ts';
import { rowNames } from '../choose-rows.ts';
import { BROKER_COUNT } from '../workload.ts';
import { TELEMETRY_ROWS } from './rows.ts';

export interface TelemetryOptions extends ReportOptions {
  readonly rows?: string;
  /** Length of a slice. */
  readonly seconds: number;
  /** Of both sides together, for each row. */
  readonly slices: number;
  /** Starts of the clusters of a row; the slices are shared out. */
  readonly launches: number;
  readonly brokers: number;
  /** Records a second; undefined = a share of what the cluster takes. */
  readonly rate?: number;
}

const SLICE_COUNT_MAX = 1000;
const RATE_MAX = 10_000_000;

export function withTelemetryOptions(command: Command): Command {
  return command
    .option('--seconds <n>', 'length of a slice', positive, 5)
    .option('--slices <n>', 'slices for each row, of both sides together: an even number', evenNumber, 30)
    .option('--launches <n>', 'starts of the clusters for each row', wholeNumber(1, SLICE_COUNT_MAX), 3)
    .option(
      '--brokers <n>',
      'brokers of a cluster, and replicas of the topic up to three',
      wholeNumber(1, 16),
      BROKER_COUNT,
    )
    .option('--rate <n>', 'records a second; default: 40 % of what the cluster takes', wholeNumber(1, RATE_MAX))
    .option('--rows <names>', `some rows only, by comma, or how their names begin: ${rowNames(TELEMETRY_ROWS)}`)
    .option('--json', 'prints figures as JSON instead of Markdown', false)
    .option('--report <file>', 'writes the Markdown to a file too');
}

function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new InvalidArgumentError('expected a number above 0');
  return value;
}

function evenNumber(text: string): number {
  const value = wholeNumber(2, SLICE_COUNT_MAX)(text);
  if (value % 2 !== 0) throw new InvalidArgumentError('expected an even number: slices go in pairs');
  return value;
}

function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (Number.isInteger(value) && text.trim() !== '' && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`expected a whole number from ${min} to ${max}`);
  };
}
