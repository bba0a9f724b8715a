/** `partita produce`: lines of a file or of stdin become records. */
import { createReadStream } from 'node:fs';
import { pause } from '@partita/client';
import type { Producer, SentRecord } from '@partita/client';
import { PARTITION_COUNT_MAX } from '@partita/domain';
import type { Command } from 'commander';
import { oneOf, wholeNumber } from '../arguments.ts';
import { withClient } from '../connect.ts';
import { ENCODINGS, toBytes } from '../encoding.ts';
import { EXIT, UsageError } from '../exit-code.ts';
import { linesOf } from '../lines.ts';
import type { Line } from '../lines.ts';
import { jsonLine } from '../output/json.ts';
import { ProduceReport } from '../produce-report.ts';
import { parseRecord } from '../record-text.ts';
import type { TextForm } from '../record-text.ts';
import type { Terminal } from '../terminal.ts';
import { inNewTrace } from '../traces/command-trace.ts';
import type { TracedOptions } from '../traces/command-trace.ts';
import { TRACES_FLAG, TRACES_HELP } from '../traces/find-traces.ts';

interface ProduceOptions extends TracedOptions, TextForm {
  readonly file?: string;
  readonly format: 'ndjson' | 'lines';
  readonly rate?: number;
  readonly partition?: number;
  readonly acks: 'all' | 'leader';
  readonly codec: 'none' | 'zstd' | 'lz4' | 'gzip';
  readonly delivery: 'batches' | 'direct' | 'records';
}

/** Results waited for at once; beyond, reading pauses. */
const OPEN_SENDS_MAX = 20_000;
/** Below this a pause is not worth its timer. */
const PAUSE_MS_MIN = 5;

const EXAMPLES = `
Each line is a record. As ndjson (the default): {"key": "BOS", "value": "on time", "headers": {"source": "desk"}}; a
value that is null or absent is a tombstone. With --format lines the line is the value.

Examples:
  echo '{"key": "BOS", "value": "delayed"}' | partita produce flights
  partita produce flights --file flights.ndjson --rate 1000`;

/** `exit` is told the exit code of a command that ended without an error. */
export function addProduceCommand(program: Command, terminal: Terminal, exit: (code: number) => void): void {
  program
    .command('produce')
    .argument('<topic>')
    .description('send records, one a line, from stdin or a file')
    .option('--file <path>', 'read this instead of stdin')
    .option('--format <format>', 'ndjson or lines', oneOf('--format', ['ndjson', 'lines']), 'ndjson')
    .option('--rate <n>', 'records a second, at most', wholeNumber('--rate', 1, 10_000_000))
    .option('--key-encoding <encoding>', ENCODINGS.join(', '), oneOf('--key-encoding', ENCODINGS), 'utf8')
    .option('--value-encoding <encoding>', ENCODINGS.join(', '), oneOf('--value-encoding', ENCODINGS), 'utf8')
    .option(
      '--partition <n>',
      'send everything there, whatever the keys',
      wholeNumber('--partition', 0, PARTITION_COUNT_MAX - 1),
    )
    .option('--acks <acks>', 'all in-sync replicas, or leader', oneOf('--acks', ['all', 'leader']), 'all')
    .option('--codec <codec>', 'none, zstd, lz4 or gzip', oneOf('--codec', ['none', 'zstd', 'lz4', 'gzip']), 'none')
    .option(
      '--delivery <form>',
      'batches of a producer session through a gateway, the same direct to the leaders, or plain records',
      oneOf('--delivery', ['batches', 'direct', 'records']),
      'batches',
    )
    .option('--trace', 'in one trace, for a few records; its id goes to stderr, and partita trace show draws it')
    .option(TRACES_FLAG, TRACES_HELP)
    .addHelpText('after', EXAMPLES)
    .action(async (topic: string, _options: unknown, command: Command) => {
      exit(await produce(topic, command.optsWithGlobals<ProduceOptions>(), terminal));
    });
}

async function produce(topic: string, options: ProduceOptions, terminal: Terminal): Promise<number> {
  if (options.file === undefined && terminal.stdin.isTTY) {
    terminal.note('reading records from the terminal, one a line; end with Ctrl-D');
  }
  const report = new ProduceReport(terminal);
  await inNewTrace(`produce ${topic}`, options, terminal, async () => {
    const failure = await withClient(options, terminal, (client) => {
      const producer = client.producer({ acks: options.acks, codec: options.codec, delivery: options.delivery });
      return sendLines(topic, options, producer, report, terminal);
    });
    report.end();
    if (failure !== undefined) throw failure;
  });
  return terminal.interrupted.aborted ? EXIT.interrupted : EXIT.ok;
}

/** Sends until the input ends, a line is wrong, a record is refused, or Ctrl-C. What was begun is always finished. */
async function sendLines(
  topic: string,
  options: ProduceOptions,
  producer: Producer,
  report: ProduceReport,
  terminal: Terminal,
): Promise<Error | undefined> {
  let failure: Error | undefined;
  const stop = new AbortController();
  const open: Promise<void>[] = [];
  const sent = async (line: Line, sending: Promise<SentRecord>): Promise<void> => {
    try {
      const { topic: name, partition, offset } = await sending;
      report.stored(partition, offset);
      if (options.json === true) await terminal.line(jsonLine({ topic: name, partition, offset }));
    } catch (error) {
      failure ??= asError(error);
      report.failed(line.number);
      stop.abort();
    }
  };
  const startMs = performance.now();
  try {
    for await (const line of inputLines(options, terminal, stop.signal)) {
      const record = parseLine(line, options);
      if (record === undefined) continue;
      if (options.rate !== undefined) await paced(startMs, report.begun, options.rate, stop.signal);
      if (stop.signal.aborted) break;
      report.begin();
      open.push(sent(line, producer.send(topic, record, { partition: options.partition })));
      if (open.length >= OPEN_SENDS_MAX) await Promise.all(open.splice(0, OPEN_SENDS_MAX / 2));
    }
  } catch (error) {
    failure ??= asError(error);
  }
  await Promise.all(open);
  return failure;
}

function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}

function parseLine(line: Line, options: ProduceOptions) {
  try {
    if (options.format === 'lines') return { value: toBytes(line.text, options.valueEncoding) };
    return line.text.trim() === '' ? undefined : parseRecord(line.text, options);
  } catch (error) {
    if (error instanceof UsageError)
      throw new Error(`line ${line.number}: ${error.message}; the lines before it were sent`);
    throw error;
  }
}

/** Lines until the end, or until `stop` or Ctrl-C. */
async function* inputLines(
  options: ProduceOptions,
  terminal: Terminal,
  stop: AbortSignal,
): AsyncGenerator<Line, void, undefined> {
  const input = options.file === undefined ? terminal.stdin : createReadStream(options.file);
  const end = (): void => void input.destroy();
  const signal = AbortSignal.any([stop, terminal.interrupted]);
  signal.addEventListener('abort', end, { once: true });
  try {
    yield* linesOf(input);
  } catch (error) {
    if (signal.aborted) return;
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT')
      throw new UsageError(`--file: there is no ${options.file ?? ''}`);
    throw error;
  } finally {
    signal.removeEventListener('abort', end);
    input.destroy();
  }
}

/** Waits until the record's turn at that rate. */
async function paced(startMs: number, index: number, ratePerSecond: number, signal: AbortSignal): Promise<void> {
  const waitMs = startMs + (index * 1000) / ratePerSecond - performance.now();
  if (waitMs < PAUSE_MS_MIN) return;
  await pause(waitMs, signal);
}
