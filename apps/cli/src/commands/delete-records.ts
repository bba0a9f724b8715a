/** `partita topic delete-records`: gives up the oldest records of a partition, or of all. */
import type { Admin, ListedOffset, Position } from '@partita/client';
import { PARTITION_COUNT_MAX, PartitaError } from '@partita/domain';
import type { Command } from 'commander';
import { position, wholeNumber } from '../arguments.ts';
import { withClient } from '../connect.ts';
import type { GlobalOptions } from '../connect.ts';
import { UsageError } from '../exit-code.ts';
import { jsonLine } from '../output/json.ts';
import type { Terminal } from '../terminal.ts';

interface DeleteRecordsOptions extends GlobalOptions {
  readonly before: Position;
  readonly partition?: number;
  readonly allPartitions?: boolean;
  readonly yes?: boolean;
  readonly dryRun?: boolean;
}

const EXAMPLES = `
Examples:
  partita topic delete-records flights --partition 0 --before 1000 --dry-run
  partita topic delete-records flights --all-partitions --before 2001-02-03T04:05:06Z --yes`;

export function addDeleteRecordsCommand(topic: Command, terminal: Terminal): void {
  topic
    .command('delete-records')
    .argument('<name>')
    .description('delete the records below a position; whole segments leave the disk')
    .requiredOption(
      '--before <position>',
      'an offset, latest (all records), a time or how long ago: records from there on stay',
      position,
    )
    .option('--partition <n>', 'in this partition', wholeNumber('--partition', 0, PARTITION_COUNT_MAX - 1))
    .option('--all-partitions', 'in each partition; not with an offset')
    .option('--yes', 'required: there is no way back')
    .option('--dry-run', 'say what would be deleted')
    .addHelpText('after', EXAMPLES)
    .action((name: string, _options: unknown, command: Command) =>
      deleteRecords(name, command.optsWithGlobals<DeleteRecordsOptions>(), terminal),
    );
}

async function deleteRecords(name: string, options: DeleteRecordsOptions, terminal: Terminal): Promise<void> {
  check(name, options);
  await withClient(options, terminal, async ({ admin }) => {
    for (const partition of await partitions(name, options, admin, terminal)) {
      await deleteFrom({ topic: name, partition }, options, admin, terminal);
    }
  });
}

function check(name: string, { before, partition, allPartitions, yes, dryRun }: DeleteRecordsOptions): void {
  if (before === 'earliest') throw new UsageError('there is nothing before earliest');
  if ((partition === undefined) === (allPartitions !== true)) {
    throw new UsageError('name one partition with --partition, or --all-partitions');
  }
  if (allPartitions === true && typeof before === 'bigint') {
    throw new UsageError('an offset is another record in each partition: name one with --partition');
  }
  if (yes !== true && dryRun !== true) {
    throw new UsageError(`this deletes records of ${name} for good; see what with --dry-run, do it with --yes`);
  }
}

async function partitions(
  name: string,
  options: DeleteRecordsOptions,
  admin: Admin,
  terminal: Terminal,
): Promise<readonly number[]> {
  if (options.partition !== undefined) return [options.partition];
  const { partitionCount } = await admin.getTopic(name, { signal: terminal.interrupted });
  return Array.from({ length: partitionCount }, (_, partition) => partition);
}

async function deleteFrom(
  { topic, partition }: { readonly topic: string; readonly partition: number },
  options: DeleteRecordsOptions,
  admin: Admin,
  terminal: Terminal,
): Promise<void> {
  const call = { signal: terminal.interrupted };
  const listed = await admin.listOffset(topic, partition, options.before, call);
  // The answer to an offset is cut to what there is; an offset that is out of range is to be refused, not mended.
  const beforeOffset = typeof options.before === 'bigint' ? options.before : listed.offset;
  if (options.dryRun === true) checkRange(beforeOffset, listed);
  const logStart =
    options.dryRun === true ? listed.logStartOffset : await admin.deleteRecords(topic, partition, beforeOffset, call);
  const { logStartOffset: logStartBefore, highWatermark } = listed;
  const dryRun = options.dryRun === true ? true : undefined;
  if (options.json === true) {
    return terminal.line(jsonLine({ topic, partition, beforeOffset, logStartBefore, logStart, highWatermark, dryRun }));
  }
  const place = `${topic}/${partition}`;
  if (beforeOffset <= logStartBefore) {
    return terminal.line(`nothing to delete in ${place}: its log begins at offset ${logStartBefore}`);
  }
  const span = `offsets ${logStartBefore} to ${beforeOffset - 1n} of ${place}`;
  if (dryRun) return terminal.line(`would delete ${span}; the high watermark is ${highWatermark}`);
  return terminal.line(`deleted ${span}; its log begins at offset ${logStart}`);
}

/** Throws what the leader would. */
function checkRange(beforeOffset: bigint, { logStartOffset, highWatermark }: ListedOffset): void {
  if (beforeOffset <= highWatermark) return;
  const message = `offset ${beforeOffset} is above the high watermark ${highWatermark}; name one up to it, or latest`;
  throw new PartitaError('OFFSET_OUT_OF_RANGE', message, {
    start: String(logStartOffset),
    end: String(highWatermark),
  });
}
