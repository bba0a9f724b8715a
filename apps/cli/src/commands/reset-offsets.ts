/** `partita group reset-offsets`: moves the committed offsets of a group in one topic. */
import type { OffsetReset } from '@partita/client';
import { OFFSET_MAX, PARTITION_COUNT_MAX } from '@partita/domain';
import type { OffsetMove } from '@partita/protocol';
import type { Command } from 'commander';
import { duration, offsetArgument, position, wholeNumber } from '../arguments.ts';
import { withClient } from '../connect.ts';
import type { GlobalOptions } from '../connect.ts';
import { UsageError } from '../exit-code.ts';
import { jsonLine } from '../output/json.ts';
import { table } from '../output/table.ts';
import type { Terminal } from '../terminal.ts';

interface ResetOptions extends GlobalOptions {
  readonly topic: string;
  readonly partitions?: readonly number[];
  readonly toEarliest?: boolean;
  readonly toLatest?: boolean;
  readonly toOffset?: bigint;
  readonly toTime?: Date;
  readonly byDuration?: number;
  readonly shift?: bigint;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
}

const EXAMPLES = `
Members may run: they are told, and begin again at the new offsets. A shift counts from the committed offset and stops at
the ends of the log.

Examples:
  partita group reset-offsets billing --topic flights --to-earliest --dry-run
  partita group reset-offsets billing --topic flights --to-time 2001-02-03T04:05:06Z --yes
  partita group reset-offsets billing --topic flights --partitions 0,1 --shift -100 --yes`;

export function addResetOffsetsCommand(group: Command, terminal: Terminal): void {
  group
    .command('reset-offsets')
    .argument('<id>')
    .description('move the committed offsets of a group')
    .requiredOption('--topic <name>', 'in this topic')
    .option('--partitions <numbers>', 'only these partitions, with commas (default: all)', partitionNumbers)
    .option('--to-earliest', 'to the first record kept')
    .option('--to-latest', 'to the end: only what comes from now on')
    .option('--to-offset <n>', 'to this offset', offsetArgument('--to-offset'))
    .option('--to-time <time>', 'to the first record at or after this time', time)
    .option('--by-duration <duration>', 'to the first record of this long ago, as 5m', duration)
    .option('--shift <n>', 'by so many offsets, negative = back', shiftArgument)
    .option('--dry-run', 'say what would be moved')
    .option('--yes', 'required: records come again, or never')
    .addHelpText('after', EXAMPLES)
    .action((id: string, _options: unknown, command: Command) =>
      resetOffsets(id, command.optsWithGlobals<ResetOptions>(), terminal),
    );
}

async function resetOffsets(id: string, options: ResetOptions, terminal: Terminal): Promise<void> {
  const { topic, partitions, dryRun = false, json } = options;
  const to = targetOf(options);
  if (options.yes !== true && !dryRun) {
    throw new UsageError(`this moves the offsets of group ${id}; see where with --dry-run, do it with --yes`);
  }
  const reset = { topic, partitions, to, validateOnly: dryRun };
  const moves = await withClient(options, terminal, ({ admin }) =>
    admin.resetOffsets(id, reset, { signal: terminal.interrupted }),
  );
  if (json === true) {
    for (const move of moves) {
      await terminal.line(jsonLine({ group: id, topic, ...move, dryRun: dryRun ? true : undefined }));
    }
    return;
  }
  await terminal.line(table(['TOPIC', 'PARTITION', 'BEFORE', 'AFTER'], moves.map(row(topic)), terminal.colors));
  if (dryRun) terminal.note('nothing was moved; do it with --yes');
}

function row(topic: string): (move: OffsetMove) => string[] {
  return ({ partition, oldOffset, newOffset }) => [
    topic,
    String(partition),
    oldOffset === undefined ? '-' : String(oldOffset),
    String(newOffset),
  ];
}

/** Exactly one of the ways. */
function targetOf(options: ResetOptions): OffsetReset['to'] {
  const { toEarliest, toLatest, toOffset, toTime, byDuration, shift } = options;
  const named: (OffsetReset['to'] | undefined)[] = [
    toEarliest === true ? 'earliest' : undefined,
    toLatest === true ? 'latest' : undefined,
    toOffset,
    toTime,
    byDuration === undefined ? undefined : { agoMs: byDuration },
    shift === undefined ? undefined : { shift },
  ];
  const [to, ...others] = named.filter((target) => target !== undefined);
  if (to !== undefined && others.length === 0) return to;
  throw new UsageError(
    'say where to with one of --to-earliest, --to-latest, --to-offset, --to-time, --by-duration and --shift',
  );
}

function partitionNumbers(text: string): readonly number[] {
  const number = wholeNumber('--partitions', 0, PARTITION_COUNT_MAX - 1);
  return text.split(',').map((part) => number(part.trim()));
}

function time(text: string): Date {
  const found = /^\d{4}-/.test(text) ? position(text) : undefined;
  if (found instanceof Date) return found;
  throw new UsageError(`--to-time is a time as 2001-02-03T04:05:06Z, not "${text}"`);
}

function shiftArgument(text: string): bigint {
  if (/^[+-]?\d{1,19}$/.test(text)) {
    const shift = BigInt(text.replace(/^\+/, ''));
    if (shift >= -OFFSET_MAX && shift <= OFFSET_MAX) return shift;
  }
  throw new UsageError(`--shift is a number of offsets, as -100, not "${text}"`);
}
