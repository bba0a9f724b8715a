/** Reads and checks the files of a broker's data directory that belong to no partition. */
import { isUuid, PartitaError, partitionKey } from '@partita/domain';
import { readCheckpoint } from '../checkpoint.ts';
import type { PartitionCheckpoint } from '../checkpoint.ts';
import { readCleanShutdown } from '../clean-shutdown.ts';
import type { CleanShutdown } from '../clean-shutdown.ts';
import { lockHolder } from '../directory-lock.ts';
import { diskErrorCode } from '../disk.ts';
import type { Disk } from '../disk.ts';
import type { Host } from '../host.ts';
import { readJournal } from '../journal.ts';
import type { JournalReading } from '../journal.ts';
import { readStorageIdentity } from '../storage-identity.ts';
import type { StorageIdentity } from '../storage-identity.ts';
import type { Check, Finding, Report, Severity } from './finding.ts';

/** What the files say; undefined for each that is missing or cannot be read. */
export interface BrokerFiles {
  readonly identity: StorageIdentity | undefined;
  /** Process that holds the directory at this moment. */
  readonly holderPid: number | undefined;
  readonly cleanShutdown: CleanShutdown | undefined;
  readonly checkpoint: ReadonlyMap<string, PartitionCheckpoint> | undefined;
  readonly journal: JournalReading | undefined;
}

export interface BrokerFilesOptions {
  readonly disk: Disk;
  readonly host: Host;
  readonly directory: string;
  readonly report: Report;
}

export async function readBrokerFiles(options: BrokerFilesOptions): Promise<BrokerFiles> {
  const holderPid = await readLock(options);
  return {
    holderPid,
    identity: await readIdentity(options),
    cleanShutdown: await readMarker(options, holderPid !== undefined),
    checkpoint: await readLines(options),
    journal: await readPromises(options),
  };
}

/** What was durable of a partition, as recovery would take it. */
export function knownProgress(
  files: BrokerFiles,
  topicId: string,
  partition: number,
): { knownSynced: bigint; closedClean: boolean } {
  const key = partitionKey({ topicId, partition });
  const cleanEnd = files.cleanShutdown?.logEnds.get(key);
  return {
    closedClean: cleanEnd !== undefined,
    knownSynced: cleanEnd ?? files.checkpoint?.get(key)?.syncedEnd ?? 0n,
  };
}

async function readLock({ disk, host, directory, report }: BrokerFilesOptions): Promise<number | undefined> {
  const holder = await lockHolder({ disk, dir: directory, host });
  if (holder === undefined) return undefined;
  if (holder === 'stale') {
    await report(finding('note', 'lock', directory, 'its process is gone: the broker did not stop in order'));
    return undefined;
  }
  await report(finding('note', 'lock', directory, `process ${holder} runs a broker here: a write may be under way`));
  return holder;
}

async function readIdentity({ disk, directory, report }: BrokerFilesOptions): Promise<StorageIdentity | undefined> {
  const identity = await attempt(() => readStorageIdentity(disk, directory), 'storage', directory, report);
  if (identity === 'refused') return undefined;
  if (identity === undefined) {
    await report(finding('damage', 'storage', directory, 'it is missing: nothing says whose directory this is'));
    return undefined;
  }
  if (!isUuid(identity.clusterId) || !isUuid(identity.dirUuid)) {
    await report(finding('damage', 'storage', directory, 'the cluster or directory id is no lower-case UUID'));
  }
  const { clusterId, brokerId, incarnation } = identity;
  const what = `cluster ${clusterId}, broker ${brokerId}, start number ${incarnation}`;
  await report(finding('ok', 'storage', directory, what));
  return identity;
}

async function readMarker(
  { disk, directory, report }: BrokerFilesOptions,
  isRunning: boolean,
): Promise<CleanShutdown | undefined> {
  const marker = await attempt(() => readCleanShutdown(disk, directory), 'clean-shutdown', directory, report);
  if (marker === 'refused') return undefined;
  if (marker === undefined && isRunning) return undefined;
  if (marker === undefined) {
    await report(
      finding('note', 'clean-shutdown', directory, 'there is none: every log is verified at the next start'),
    );
    return undefined;
  }
  if (marker === 'unreadable') {
    await report(finding('note', 'clean-shutdown', directory, 'it cannot be read, which counts as an unclean stop'));
    return undefined;
  }
  await report(finding('ok', 'clean-shutdown', directory, `${marker.logEnds.size} logs were closed in order`));
  return marker;
}

async function readLines(options: BrokerFilesOptions): Promise<ReadonlyMap<string, PartitionCheckpoint> | undefined> {
  const { disk, directory, report } = options;
  const lines = await attempt(() => readCheckpoint(disk, directory), 'checkpoint', directory, report);
  if (lines === 'refused') return undefined;
  if (lines === undefined) {
    const what = 'it is damaged or of a version that is not known: nothing is known as synced from it';
    await report(finding('note', 'checkpoint', directory, what));
    return undefined;
  }
  for (const [key, { highWatermark, syncedEnd, logStart }] of lines) {
    if (logStart >= 0n && logStart <= highWatermark && highWatermark <= syncedEnd) continue;
    const order = `log start ${logStart}, high watermark ${highWatermark}, synced end ${syncedEnd}`;
    await report(finding('note', 'checkpoint', directory, `${key}: out of order: ${order}`));
  }
  await report(finding('ok', 'checkpoint', directory, `${lines.size} partitions`));
  return lines;
}

async function readPromises({ disk, directory, report }: BrokerFilesOptions): Promise<JournalReading | undefined> {
  const journal = await attempt(() => readJournal(disk, directory), 'journal', directory, report);
  if (journal === 'refused') return undefined;
  if (journal === undefined) {
    await report(finding('note', 'journal', directory, 'it was never used; the next start makes it'));
    return undefined;
  }
  const { number, generation, entryCount, position, fileBytes, state } = journal;
  const where = `file ${number} is in charge, generation ${generation}, ${entryCount} entries`;
  await report(finding('ok', 'journal', directory, `${where}, ${state.size} keys, ${position} of ${fileBytes} bytes`));
  return journal;
}

const FILE_NAMES: Partial<Record<Check, string>> = {
  storage: 'storage.json',
  lock: 'lock',
  'clean-shutdown': 'clean-shutdown',
  checkpoint: 'checkpoint',
  journal: 'meta.journal',
};

function finding(severity: Severity, check: Check, directory: string, message: string): Finding {
  return { severity, check, path: `${directory}/${FILE_NAMES[check] ?? ''}`, message };
}

/** The result, or `refused` when it is damage, which has been reported then. */
async function attempt<Result>(
  read: () => Promise<Result>,
  check: Check,
  directory: string,
  report: Report,
): Promise<Result | 'refused'> {
  try {
    return await read();
  } catch (error) {
    const code = diskErrorCode(error);
    if (!(error instanceof PartitaError) && code === undefined) throw error;
    const why = error instanceof PartitaError ? error.message : `it cannot be read: ${code ?? ''}`;
    await report(finding('damage', check, directory, why));
    return 'refused';
  }
}
