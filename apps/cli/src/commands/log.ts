/**
 * `partita log …`: checks and prints the files of a data directory without a broker. The only file of the CLI that looks
 * below the API; what it finds goes on as plain data to stored/.
 */
import { dirname, resolve } from 'node:path';
import {
  decodeTopicConfigFile,
  createHost,
  createNodeDisk,
  diskErrorCode,
  inspectPartition,
  knownProgress,
  listSegments,
  locate,
  readBrokerFiles,
  walkSegment,
} from '@partita/log';
import type { BrokerFiles, Disk, Location, PartitionPlace, Report } from '@partita/log';
import { isUuid } from '@partita/domain';
import type { Command } from 'commander';
import { offsetArgument, oneOf, wholeNumber } from '../arguments.ts';
import type { GlobalOptions } from '../connect.ts';
import { ENCODINGS } from '../encoding.ts';
import { EXIT, NotFoundError, UsageError } from '../exit-code.ts';
import { parseTopicConfig } from '../stored/topic-config.ts';
import type { StoredTopic } from '../stored/topic-config.ts';
import { checkReplicas } from '../stored/replica-check.ts';
import { VerifyReport } from '../stored/verify-report.ts';
import { DumpPrinter } from '../stored/dump-printer.ts';
import type { DumpOptions } from '../stored/dump-printer.ts';
import type { Terminal } from '../terminal.ts';

interface VerifyOptions extends GlobalOptions {
  readonly partition?: string;
  readonly deep?: boolean;
}

const DIR = "a broker's data directory, a topic's or a partition's in it, or one .log file";

/** `exit` is told the exit code of a command that ended without an error. */
export function addLogCommand(program: Command, terminal: Terminal, exit: (code: number) => void): void {
  const log = program.command('log').description('check and print the files of a data directory, without a broker');
  log
    .command('verify')
    .argument('<dir>', DIR)
    .description('check every file, and change none; exit code 1 when there is damage')
    .option('--partition <topic-id/n>', 'only this partition', partitionName)
    .option('--deep', 'unpack and decode the records too')
    .addHelpText('after', VERIFY_HELP)
    .action(async (dir: string, _options: unknown, command: Command) => {
      exit(await verify(dir, command.optsWithGlobals<VerifyOptions>(), terminal));
    });
  log
    .command('dump')
    .argument('<dir>', DIR)
    .description('print what is stored: files of the broker, segments, batches, records')
    .option('--partition <topic-id/n>', 'only this partition', partitionName)
    .option('--records', 'records instead of batches, as consume prints them')
    .option('--from <offset>', 'from the batch, or record, at this offset on', offsetArgument('--from'))
    .option('--to <offset>', 'up to the one before this offset', offsetArgument('--to'))
    .option('--max <n>', 'so many batches, or records, at most', wholeNumber('--max', 1, Number.MAX_SAFE_INTEGER))
    .option('--key-encoding <encoding>', ENCODINGS.join(', '), oneOf('--key-encoding', ENCODINGS), 'utf8')
    .option('--value-encoding <encoding>', ENCODINGS.join(', '), oneOf('--value-encoding', ENCODINGS), 'utf8')
    .addHelpText('after', DUMP_HELP)
    .action(async (dir: string, _options: unknown, command: Command) => {
      exit(await dump(dir, command.optsWithGlobals<DumpOptions & { readonly partition?: string }>(), terminal));
    });
}

const VERIFY_HELP = `
A line is ok, note (the next start mends it, or it does no harm) or damage (recovery refuses it, or something is lost).

Examples:
  partita log verify .partita/broker-1
  partita log verify /data/0190a2b4-0000-7000-8000-000000000001/3 --deep --json`;

const DUMP_HELP = `
Damaged places are printed as such; what is intact behind them follows. A record's line is partition/offset, key, value.

Examples:
  partita log dump .partita/broker-1
  partita log dump /data/0190a2b4-0000-7000-8000-000000000001/3 --records --from 1000 --max 10
  partita log dump /data/0190a2b4-0000-7000-8000-000000000001/3/00000000000000000000.log --json`;

function partitionName(text: string): string {
  const [topicId = '', number = '', ...more] = text.split('/');
  if (isUuid(topicId) && /^\d{1,10}$/.test(number) && more.length === 0) return text;
  throw new UsageError(`--partition is a topic id and a number, like the directories: ID/0, not "${text}"`);
}

async function verify(dir: string, options: VerifyOptions, terminal: Terminal): Promise<number> {
  const disk = createNodeDisk();
  const location = await find(disk, dir);
  const places = selected(location, options.partition);
  const report = new VerifyReport(terminal, location.path, options.json === true);
  const add: Report = (finding) => report.add(finding);
  const files = await filesAround(disk, location, add);
  const topics = await readTopics(disk, location, places, add);
  for (const path of options.partition === undefined ? location.strangers : []) {
    await report.add({ severity: 'note', check: 'leftover', path, message: 'it is no file of Partita' });
  }
  for (const place of places) {
    const topic = topics.get(place.topicId);
    const stored = typeof topic === 'object' ? topic : undefined;
    const { topicId, partition } = place;
    const progress = files === undefined ? UNKNOWN : knownProgress(files, topicId, partition);
    const totals = await inspectPartition({
      disk,
      directory: place.directory,
      only: place.only,
      expected: {
        topicId,
        partition,
        clusterId: files?.identity?.clusterId,
        ...progress,
        flush: stored?.flush ?? 'fsync',
        deep: options.deep === true,
      },
      report: add,
      onBytes: (bytes) => report.read(bytes),
    });
    report.partition(totals);
  }
  if (location.kind === 'broker' && options.partition === undefined && files !== undefined) {
    await checkTogether(location, files, topics, report);
  }
  return report.finish();
}

const UNKNOWN = { knownSynced: 0n, closedClean: false };

async function find(disk: Disk, dir: string): Promise<Location> {
  const location = await locate(disk, resolve(dir));
  if (location !== undefined) return location;
  throw new NotFoundError(`${dir} does not exist, or holds nothing of Partita: name ${DIR}`);
}

function selected(location: Location, partition: string | undefined): readonly PartitionPlace[] {
  if (partition === undefined) return location.partitions;
  const places = location.partitions.filter((place) => `${place.topicId}/${place.partition}` === partition);
  if (places.length > 0) return places;
  throw new NotFoundError(`there is no partition ${partition} in ${location.path}`);
}

/** The broker's own files; those around a part of a data directory are read without a word, except that it is in use. */
async function filesAround(disk: Disk, location: Location, report: Report): Promise<BrokerFiles | undefined> {
  const host = createHost(disk);
  if (location.kind === 'broker') return readBrokerFiles({ disk, host, directory: location.path, report });
  const up = { topic: 1, partition: 2, segment: 3 }[location.kind];
  let directory = location.path;
  for (let step = 0; step < up; step += 1) directory = dirname(directory);
  const names = await disk.list(directory).catch((): string[] => []);
  if (!names.includes('storage.json')) return undefined;
  return readBrokerFiles({
    disk,
    host,
    directory,
    report: (finding) => (finding.check === 'lock' ? report(finding) : undefined),
  });
}

type TopicState = StoredTopic | 'damaged' | 'missing';

/** Each topic's config by id. */
async function readTopics(
  disk: Disk,
  location: Location,
  places: readonly PartitionPlace[],
  report: Report,
): Promise<ReadonlyMap<string, TopicState>> {
  const topics = new Map<string, TopicState>();
  const directories = new Map(location.topics.map(({ topicId, directory }) => [topicId, directory]));
  for (const { topicId, directory } of places) directories.set(topicId, dirname(directory));
  for (const [topicId, directory] of directories) {
    const path = `${directory}/topic.config`;
    const bytes = await readIfThere(disk, path);
    const content = bytes === undefined ? undefined : decodeTopicConfigFile(bytes);
    const parsed = content === undefined ? undefined : parseTopicConfig(content, topicId);
    if (parsed === undefined) topics.set(topicId, 'missing');
    else if ('fault' in parsed) {
      topics.set(topicId, 'damaged');
      await report({ severity: 'damage', check: 'topic-config', path, message: parsed.fault });
    } else {
      topics.set(topicId, parsed);
      const { topic, version, partitions } = parsed.config;
      const message = `topic ${topic}, version ${version}, ${partitions.length} partitions`;
      await report({ severity: 'ok', check: 'topic-config', path, message });
    }
  }
  return topics;
}

async function readIfThere(disk: Disk, path: string): Promise<Buffer | undefined> {
  try {
    return await disk.readFile(path);
  } catch (error) {
    if (diskErrorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

async function checkTogether(
  location: Location,
  files: BrokerFiles,
  topics: ReadonlyMap<string, TopicState>,
  report: VerifyReport,
): Promise<void> {
  const ends = files.cleanShutdown?.logEnds;
  const lines = [...(files.checkpoint ?? [])].map(([key, line]) => [key, ends?.get(key) ?? line.syncedEnd] as const);
  const findings = checkReplicas({
    journal: files.journal?.state,
    directories: new Set(location.partitions.map((place) => `${place.topicId}/${place.partition}`)),
    topics: new Map([...topics].map(([topicId, state]) => [topicId, typeof state === 'object' ? 'intact' : state])),
    knownSynced: new Map(lines),
  });
  for (const { severity, check, name, message } of findings) {
    await report.add({ severity, check, path: `${location.path}/${name}`, message });
  }
}

async function dump(
  dir: string,
  options: DumpOptions & { readonly partition?: string },
  terminal: Terminal,
): Promise<number> {
  const disk = createNodeDisk();
  const location = await find(disk, dir);
  const places = selected(location, options.partition);
  const printer = new DumpPrinter(terminal, location.path, options);
  const report: Report = ({ severity, path, message }) => {
    if (severity === 'damage') printer.damage(path, message);
  };
  const files = await filesAround(disk, location, report);
  const topics = await readTopics(disk, location, places, report);
  const isWhole = options.partition === undefined && options.records !== true;
  if (location.kind === 'broker' && files !== undefined && isWhole) await printer.brokerFiles(files);
  for (const state of topics.values()) {
    if (typeof state === 'object' && options.records !== true) await printer.topic(state.config);
  }
  for (const place of places) {
    if (printer.isFull) break;
    const state = topics.get(place.topicId);
    await dumpPartition(disk, place, typeof state === 'object' ? state.config.topic : place.topicId, printer);
    if (terminal.interrupted.aborted) return EXIT.interrupted;
  }
  printer.finish();
  return EXIT.ok;
}

async function dumpPartition(disk: Disk, place: PartitionPlace, topic: string, printer: DumpPrinter): Promise<void> {
  const all = await listSegments(disk, place.directory);
  const segments = place.only === undefined ? all : [{ path: place.only, endOffset: undefined }];
  printer.begin(topic, place.partition);
  for (const { path, endOffset } of segments) {
    if (endOffset !== undefined && printer.beginsAfter(endOffset)) continue;
    if (!(await printer.segment(path, walkSegment(disk, path, place)))) return;
  }
}
