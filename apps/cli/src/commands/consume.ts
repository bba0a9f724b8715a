/** `partita consume`: records of a topic, as a member of a group or without one. */
import type { PartitaClient, PartitionName, Position } from '@partita/client';
import { PARTITION_COUNT_MAX } from '@partita/domain';
import type { Command } from 'commander';
import { duration, oneOf, position, wholeNumber } from '../arguments.ts';
import { withClient } from '../connect.ts';
import { ENCODINGS } from '../encoding.ts';
import { EXIT, UsageError } from '../exit-code.ts';
import { recordLine } from '../record-text.ts';
import type { TextForm } from '../record-text.ts';
import type { Terminal } from '../terminal.ts';
import { inRecordTraces } from '../traces/command-trace.ts';
import type { TracedOptions } from '../traces/command-trace.ts';
import { TRACES_FLAG, TRACES_HELP } from '../traces/find-traces.ts';

interface ConsumeOptions extends TracedOptions, TextForm {
  readonly group?: string;
  readonly from?: Position;
  readonly max?: number;
  readonly timeout?: number;
  readonly partition?: number;
  readonly topicPattern?: string;
}

const EXAMPLES = `
Without --group nothing is committed, and every partition is read. Plain lines are partition/offset, key and value;
--json prints objects that \`partita produce\` reads.

Examples:
  partita consume flights --from earliest --max 10
  partita consume flights --group billing --json
  partita consume --group billing --topic-pattern 'flights-.*'
  partita consume flights --from -15m --timeout 10s`;

/** `exit` is told the exit code of a command that ended without an error. */
export function addConsumeCommand(program: Command, terminal: Terminal, exit: (code: number) => void): void {
  program
    .command('consume')
    .argument('[topic]')
    .description('print records, and wait for more until Ctrl-C, --max or --timeout')
    .option('--group <id>', 'consume as a member of this group, and commit')
    .option('--topic-pattern <regexp>', 'with --group: every topic whose whole name matches (RE2), those to come too')
    .option(
      '--from <position>',
      'earliest, latest, an offset, a time or how long ago (default: earliest; with --group: where the group is)',
      position,
    )
    .option('--max <n>', 'stop after so many records', wholeNumber('--max', 1, Number.MAX_SAFE_INTEGER))
    .option('--timeout <duration>', 'stop after this time; exit code 5 when fewer than --max came', duration)
    .option('--partition <n>', 'only this partition', wholeNumber('--partition', 0, PARTITION_COUNT_MAX - 1))
    .option('--key-encoding <encoding>', ENCODINGS.join(', '), oneOf('--key-encoding', ENCODINGS), 'utf8')
    .option('--value-encoding <encoding>', ENCODINGS.join(', '), oneOf('--value-encoding', ENCODINGS), 'utf8')
    .option('--trace', 'ids of the records’ traces go to stderr; with --group its own spans join them')
    .option(TRACES_FLAG, TRACES_HELP)
    .addHelpText('after', EXAMPLES)
    .action(async (topic: string | undefined, _options: unknown, command: Command) => {
      exit(await consume(topic, command.optsWithGlobals<ConsumeOptions>(), terminal));
    });
}

/** What is printed, until when, and where. */
interface Printing {
  readonly topic: string | undefined;
  readonly options: ConsumeOptions;
  readonly signal: AbortSignal;
  readonly terminal: Terminal;
  /** Told of each record's traceparent. */
  readonly seen: (traceparent: string) => void;
}

async function consume(topic: string | undefined, options: ConsumeOptions, terminal: Terminal): Promise<number> {
  const { group, partition, max } = options;
  if (group !== undefined && partition !== undefined) {
    throw new UsageError('a group assigns partitions by itself: leave out --partition, or --group');
  }
  if ((topic === undefined) === (options.topicPattern === undefined))
    throw new UsageError('name one topic, or with --group a --topic-pattern');
  if (group === undefined && topic === undefined) throw new UsageError('--topic-pattern goes with --group');
  const late = new AbortController();
  const signal = AbortSignal.any([late.signal, terminal.interrupted]);
  const printed = await inRecordTraces(options, terminal, (seen) =>
    withClient(options, terminal, async (client) => {
      const timer = options.timeout === undefined ? undefined : setTimeout(() => late.abort(), options.timeout);
      const printing = { topic, options, signal, terminal, seen };
      try {
        return group === undefined
          ? await printAll(client, topic ?? '', printing)
          : await printAsMember(client, group, printing);
      } finally {
        clearTimeout(timer);
      }
    }),
  );
  if (terminal.interrupted.aborted) return EXIT.interrupted;
  if (max === undefined || printed >= max) return EXIT.ok;
  terminal.note(`${printed} of ${max} records came in time`);
  return EXIT.timedOut;
}

async function printAll(
  client: PartitaClient,
  topic: string,
  { options, signal, terminal, seen }: Printing,
): Promise<number> {
  let printed = 0;
  const { partition, from, max: maxRecords } = options;
  for await (const record of client.read({ topic, partition, from, maxRecords, follow: true, signal })) {
    if (signal.aborted) break;
    await terminal.line(recordLine(record, options));
    seen(record.traceparent);
    printed += 1;
  }
  return printed;
}

async function printAsMember(client: PartitaClient, group: string, printing: Printing): Promise<number> {
  const { topic, options, signal, terminal, seen } = printing;
  const named = (part: PartitionName): string =>
    topic === undefined ? `${part.topic}/${part.partition}` : String(part.partition);
  let printed = 0;
  const consumer = client.consumer({
    group,
    ...(topic === undefined ? { topicPattern: options.topicPattern } : { topics: [topic] }),
    from: options.from,
    onAssigned: (partitions) => terminal.note(`assigned: ${partitions.map(named).join(', ')}`),
    onRevoked: (partitions) => terminal.note(`revoked: ${partitions.map(named).join(', ')}`),
  });
  const close = (): void => void consumer.close();
  signal.addEventListener('abort', close, { once: true });
  try {
    for await (const record of consumer) {
      await terminal.line(recordLine(record, options));
      seen(record.traceparent);
      printed += 1;
      if (printed !== options.max) continue;
      await consumer.commit();
      break;
    }
  } finally {
    signal.removeEventListener('abort', close);
  }
  return printed;
}
