/** The options of `npm run bench -- report`. */
import { InvalidArgumentError } from 'commander';
import type { Command } from 'commander';
import type { ReportOptions } from '../bench-run.ts';
import { RECORD_BYTES } from '../workload.ts';
import { PEERS } from './peer-systems.ts';
import type { PeerName } from './peer-systems.ts';
import { FLUSHES } from './system.ts';
import type { Flush } from './system.ts';

export interface CompareOptions extends ReportOptions {
  readonly peers: readonly PeerName[];
  /** Length of one run. */
  readonly seconds: number;
  readonly rounds: number;
  readonly recordBytes: readonly number[];
  readonly flush: readonly Flush[];
}

const REPORT = 'docs/reports/peers-bench.md';
/** Key, framing and some of a value. */
const RECORD_BYTES_MIN = 64;
/** What all three take when nothing is said. */
const RECORD_BYTES_MAX = 512 * 1024;
const SECONDS_MAX = 600;
const ROUNDS_MAX = 99;

export function withCompareOptions(command: Command): Command {
  return command
    .option('--peers <names>', `systems beside Partita, by comma: ${PEERS.join(', ')}; default: none`, peers, [])
    .option('--seconds <n>', 'length of a run', number(0.1, SECONDS_MAX), 10)
    .option('--rounds <n>', 'runs of each system', number(1, ROUNDS_MAX, true), 5)
    .option('--record-bytes <sizes>', 'bytes of a record, by comma', sizes, [RECORD_BYTES])
    .option('--flush <modes>', `what makes a record durable, by comma: ${FLUSHES.join(', ')}`, flushes, [...FLUSHES])
    .option('--json', 'prints figures as JSON instead of Markdown', false)
    .option('--report <file>', 'where the Markdown goes, and the chart beside it', REPORT);
}

function peers(text: string): readonly PeerName[] {
  return choices(text, PEERS);
}

function flushes(text: string): readonly Flush[] {
  return choices(text, FLUSHES);
}

function sizes(text: string): readonly number[] {
  return [...new Set(text.split(',').map(number(RECORD_BYTES_MIN, RECORD_BYTES_MAX, true)))];
}

/** In the order of `all`, each once. */
function choices<Choice extends string>(text: string, all: readonly Choice[]): readonly Choice[] {
  const named = text.split(',');
  const unknown = named.filter((name) => !all.some((choice) => choice === name));
  if (unknown.length > 0) throw new InvalidArgumentError(`there are: ${all.join(', ')}`);
  return all.filter((choice) => named.includes(choice));
}

function number(min: number, max: number, isWhole = false): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() !== '' && value >= min && value <= max && (!isWhole || Number.isInteger(value))) return value;
    throw new InvalidArgumentError(`expected a ${isWhole ? 'whole ' : ''}number from ${min} to ${max}`);
  };
}
