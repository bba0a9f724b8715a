/** `npm run bench`: Partita beside the same work without it, as Markdown on stdout. A command for each part of it. */
import { tmpdir } from 'node:os';
import { Command, InvalidArgumentError } from 'commander';
import type { BenchOptions, BenchRun, ReportOptions } from './bench-run.ts';
import { rowNames } from './choose-rows.ts';
import { CleanUps } from './clean-ups.ts';
import { benchCompare } from './compare/compare-bench.ts';
import { withCompareOptions } from './compare/options.ts';
import type { CompareOptions } from './compare/options.ts';
import { benchConsume } from './consume/consume-bench.ts';
import { CONSUME_ROWS } from './consume/rows.ts';
import { benchMerge } from './merge/merge-bench.ts';
import { withMergeOptions } from './merge/options.ts';
import type { MergeOptions } from './merge/options.ts';
import { benchDelay } from './delay/delay-bench.ts';
import type { DelayOptions } from './delay/delay-bench.ts';
import { DELAY_MS_DEFAULT, DELAY_ROWS } from './delay/rows.ts';
import { benchNetwork } from './network-bench.ts';
import type { NetworkOptions } from './network-bench.ts';
import { benchPartitions } from './partitions/partitions-bench.ts';
import type { PartitionsOptions } from './partitions/partitions-bench.ts';
import { withProduceOptions } from './produce/options.ts';
import type { ProduceOptions } from './produce/options.ts';
import { benchProduce } from './produce/produce-bench.ts';
import { PRODUCE_ROWS } from './produce/rows.ts';
import { benchReplication } from './replication/replication-bench.ts';
import { REPLICATION_ROWS } from './replication/rows.ts';
import { ROWS } from './rows.ts';
import { benchSoak } from './soak/soak-bench.ts';
import type { SoakOptions } from './soak/soak-bench.ts';
import { STORAGE_ROWS } from './storage/rows.ts';
import { benchStorage } from './storage/storage-bench.ts';
import type { StorageOptions } from './storage/storage-bench.ts';
import { withTelemetryOptions } from './telemetry/options.ts';
import type { TelemetryOptions } from './telemetry/options.ts';
import { benchTelemetry } from './telemetry/telemetry-bench.ts';

const cleanUps = new CleanUps();

const program = new Command('npm run bench --')
  // So that options behind a command are that command's.
  .enablePositionalOptions()
  .description('Measures Partita beside raw gRPC with the same hops. Takes about two minutes.')
  .option('--server <addresses>', 'a running cluster, several addresses by comma; default: one of its own')
  .action((options: NetworkOptions) => run(benchNetwork, options));
withSharedOptions(program, { seconds: 2, rounds: 5, rows: rowNames(ROWS) });

const storage = program
  .command('storage')
  .description('Measures the log beside plain writes and reads of the same bytes. Takes about five minutes.')
  .option('--dir <directory>', 'on the file system to be measured; what is written there is removed again', tmpdir())
  .action((options: StorageOptions) => run(benchStorage, options));
withSharedOptions(storage, { seconds: 0.5, rounds: 7, rows: rowNames(STORAGE_ROWS) });

const replication = program
  .command('replication')
  .description('Measures what replicas and fsync cost, and replication beside raw gRPC. Takes about two minutes.')
  .action((options: BenchOptions) => run(benchReplication, options));
withSharedOptions(replication, { seconds: 2, rounds: 5, rows: rowNames(REPLICATION_ROWS) });

const consume = program
  .command('consume')
  .description('Measures the consumer of the SDK in its three forms. Takes about five minutes.')
  .action((options: BenchOptions) => run(benchConsume, options));
withSharedOptions(consume, { seconds: 1, rounds: 3, rows: rowNames(CONSUME_ROWS) });

const produce = withProduceOptions(program.command('produce'))
  .description("Measures the SDK's producer, in its rows or as the settings say. Takes about five minutes.")
  .action((options: ProduceOptions) => run(benchProduce, options));
withSharedOptions(produce, { seconds: 1, rounds: 3, rows: rowNames(PRODUCE_ROWS) });

const delay = program
  .command('delay')
  .description("Measures the SDK's producer over a line with a delay. Takes about four minutes.")
  .option('--delay-ms <n>', 'delay one way', positive, DELAY_MS_DEFAULT)
  .action((options: DelayOptions) => run(benchDelay, options));
withSharedOptions(delay, { seconds: 2, rounds: 5, rows: rowNames(DELAY_ROWS) });

program
  .command('partitions')
  .description('Measures the same load on many partitions and on few, with fsync. Takes about two minutes.')
  .option('--partitions <n>', 'partitions of the topic of many', wholeNumber, 1000)
  .option('--rate <n>', 'records a second, over all partitions of a topic', wholeNumber, 1000)
  .option('--seconds <n>', 'length of a run', positive, 10)
  .option('--rounds <n>', 'runs of each topic', wholeNumber, 3)
  .option('--json', 'prints figures as JSON instead of Markdown', false)
  .option('--report <file>', 'writes the Markdown to a file too')
  .action((options: PartitionsOptions) => run(benchPartitions, options));

program
  .command('soak')
  .description('Sends most of what a cluster takes for long, and tells what grew. Ctrl-C reports what there is.')
  .option('--minutes <n>', 'length', positive, 30)
  .option('--share <n>', 'of what a closed loop reaches before', positive, 0.7)
  .option('--rate <n>', 'records a second instead', wholeNumber)
  .option('--json', 'prints figures as JSON instead of Markdown', false)
  .option('--report <file>', 'writes the Markdown to a file too')
  .action((options: SoakOptions) => run(benchSoak, options));

withTelemetryOptions(program.command('telemetry'))
  .description('Measures what traces and metrics cost, as CPU time for each record. Takes about a quarter of an hour.')
  .action((options: TelemetryOptions) => run(benchTelemetry, options));

withMergeOptions(program.command('merge'))
  .description('Measures what merging the records of many connections gives. Takes about three minutes.')
  .action((options: MergeOptions) => run(benchMerge, options));
withCompareOptions(program.command('report'))
  .description('Measures Partita beside Kafka and NATS JetStream, and writes a report. Takes about half an hour.')
  .action((options: CompareOptions) => run(benchCompare, options));

await program.parseAsync();

function withSharedOptions(command: Command, defaults: { seconds: number; rounds: number; rows: string }): void {
  command
    .option('--seconds <n>', 'length of a run', positive, defaults.seconds)
    .option('--rounds <n>', 'pairs of runs for each row', positive, defaults.rounds)
    .option('--rows <names>', `some rows only, by comma, or how their names begin: ${defaults.rows}`)
    .option('--json', 'prints figures as JSON instead of Markdown', false)
    .option('--report <file>', 'writes the Markdown to a file too');
}

async function run<Options extends ReportOptions>(
  bench: (run: BenchRun<Options>) => Promise<void>,
  options: Options,
): Promise<void> {
  try {
    await bench({ options, cleanUps });
    await cleanUps.leave(0);
  } catch (error) {
    if (!cleanUps.isLeaving)
      process.stderr.write(`The bench stopped: ${error instanceof Error ? error.message : String(error)}\n`);
    await cleanUps.leave(1);
  }
}

function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new InvalidArgumentError('expected a number above 0');
  return value;
}

function wholeNumber(text: string): number {
  const value = positive(text);
  if (!Number.isInteger(value)) throw new InvalidArgumentError('expected a whole number');
  return value;
}
