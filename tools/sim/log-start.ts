/** The start of a program on the simulated disk, as a broker starts: marker, checkpoint, log; and what it must find. */
import { createLogDevice, openPartitionLog, readCheckpoint, takeCleanShutdown } from '@partita/log';
import type { LogDevice, PartitionLog } from '@partita/log';
import { partitionKey } from '@partita/domain';
import type { PartitaError } from '@partita/domain';
import { reasonOf, isExcused } from './excuses.ts';
import type { Excuses } from './excuses.ts';
import { CLUSTER_ID, DATA, DIRECTORY, PARTITION, TOPIC_ID } from './log-identity.ts';
import { least } from './log-model.ts';
import { checkState } from './log-checks.ts';
import type { LogWorld } from './log-world.ts';
import { settle } from './settle.ts';
import { basesOf, damagedBatches, isDamaged, segmentFile } from './stored-files.ts';
import { Violation } from './trace.ts';

const KEY = partitionKey({ topicId: TOPIC_ID, partition: PARTITION });

/** A log that is open, and what it said when it was. */
export interface OpenedLog {
  readonly log: PartitionLog;
  readonly device: LogDevice;
}

export interface LogListeners {
  readonly onSynced: (endOffset: bigint) => void;
  readonly onFailed: (error: PartitaError) => void;
}

/** `refused`: the log is damaged and says so. `again`: this attempt failed for a reason that may go away. */
export type Start = OpenedLog | 'refused' | 'again';

/** Starts a program and opens the log. */
export async function startProgram(world: LogWorld, records: StoredFacts, listeners: LogListeners): Promise<Start> {
  const excuses: Excuses = { errorCount: world.errorCount, readFlipCount: world.readFlipCount };
  world.phase = 'start';
  const before = logContents(world);
  const facts: KnownFacts = { cleanEnd: undefined, knownSynced: 0n };
  const outcome = await settle(open(world, records, listeners, facts), 'the start');
  if ('value' in outcome) {
    checkOpened(world, outcome.value.log, facts, before);
    return outcome.value;
  }
  const { error } = outcome;
  if (error instanceof Violation) throw error;
  if (!world.disk.isRunning) {
    world.tally.add('seen: crash during recovery');
    return 'again';
  }
  const reason = reasonOf(error);
  world.trace.note(`  not opened: ${reason}`);
  if (world.readFlipCount > excuses.readFlipCount && isDamageReason(reason)) return 'again';
  if (isDamageReason(reason) && (isDamaged(world) || (world.plan.flush === 'os' && world.syncLied))) {
    if (world.errorCount === excuses.errorCount) checkUntouched(world, before);
    world.tally.add('seen: damaged log refused');
    return 'refused';
  }
  if (isExcused(world, error, excuses)) return 'again';
  throw new Violation(`a log without damage was refused: ${String(error)}`);
}

function isDamageReason(reason: string): boolean {
  return reason === 'CORRUPT_BATCH' || reason === 'VERSION_NOT_SUPPORTED';
}

/** What the start learns before it opens the log. */
interface KnownFacts {
  cleanEnd: bigint | undefined;
  knownSynced: bigint;
}

/** What the files beside the log may say: the values that a power cut may leave. */
export interface StoredFacts {
  /** End offset in the clean-shutdown marker, when one may be there; and whether it must be. */
  marker: { readonly end: bigint; readonly isCertain: boolean } | undefined;
  /** Synced ends that the checkpoint may hold; undefined stands for no file. */
  checkpoints: (bigint | undefined)[];
}

async function open(
  world: LogWorld,
  records: StoredFacts,
  listeners: LogListeners,
  facts: KnownFacts,
): Promise<OpenedLog> {
  const { time, plan, mutant } = world;
  const life = world.disk.start();
  const disk = mutant?.wrapDisk?.(life, world) ?? life;
  const { marker: written } = records;
  // Taking it may end anywhere: from here on it is there or not.
  if (written !== undefined) records.marker = { ...written, isCertain: false };
  const flips = world.readFlipCount;
  const marker = await takeCleanShutdown(disk, DATA);
  records.marker = undefined;
  facts.cleanEnd = marker?.logEnds.get(KEY);
  if (world.readFlipCount > flips) facts.cleanEnd = undefined;
  else checkMarker(written, facts.cleanEnd);
  const saved = await readCheckpoint(disk, DATA);
  const stored = saved?.get(KEY)?.syncedEnd;
  const isReadable = saved !== undefined;
  if (isReadable && !records.checkpoints.includes(stored)) {
    throw new Violation(`the checkpoint holds ${stored}, not ${records.checkpoints.join(' or ')}`);
  }
  // A checkpoint that is older than the newest: harmless, it only ever lags behind.
  const checkpoint = world.random.chance(0.2) ? 0n : (stored ?? 0n);
  facts.knownSynced = facts.cleanEnd ?? checkpoint;
  const device = await createLogDevice({ disk, directory: DATA, clock: time, timers: time });
  const log = await openPartitionLog({
    device,
    dir: DIRECTORY,
    clusterId: CLUSTER_ID,
    topicId: TOPIC_ID,
    partition: PARTITION,
    settings: { segmentBytesMax: plan.segmentBytesMax, segmentAgeMsMax: Infinity, flush: plan.flush },
    cleanShutdown: mutant?.trustsEveryStart === true || facts.cleanEnd !== undefined,
    knownSynced: mutant?.forgetsCheckpoints === true ? 0n : facts.knownSynced,
    ...listeners,
  });
  return { log, device };
}

/** The marker speaks of the last stop or it is not there. */
function checkMarker(written: StoredFacts['marker'], found: bigint | undefined): void {
  if (found !== undefined && found !== written?.end)
    throw new Violation(`a clean shutdown at ${found} is of another run`);
  if (found === undefined && written?.isCertain === true) throw new Violation('the clean-shutdown marker is lost');
}

/** What a log that opened must hold. Makes the model that of the log. */
function checkOpened(world: LogWorld, log: PartitionLog, facts: KnownFacts, before: ReadonlyMap<bigint, Buffer>): void {
  const { model, plan, tally, trace } = world;
  const isOs = plan.flush === 'os';
  const end = log.logEnd;
  trace.note(`  opened: ${log.logStart}..${end}, cut ${log.cutBytes}, suspect ${log.suspect ?? 'no'}`);
  const floor = promisedEnd(world, facts, before);
  if (log.suspect !== undefined) {
    tally.add('seen: suspect');
    // What was lost before, and told, stays lost until a new checkpoint is written.
    const isLost = (isOs && world.powerCut) || facts.knownSynced > model.ackedEnd;
    if (!isLost && !world.hadLogDamage) throw new Violation(`suspect by a power cut alone: ${log.suspect}`);
  } else if (end < floor) throw new Violation(`lost: the log ends at ${end}, promised was ${floor}`);
  if (end > model.end || !model.isBoundary(end)) throw new Violation(`wrong offset: the log ends at ${end}`);
  noteSights(world, log, before);
  world.damagedAtStart.clear();
  world.hadLogDamage = isDamaged(world);
  model.restart(end);
  checkState(log, model);
}

/** Offset below which nothing may be missing from a log that is not suspect. */
function promisedEnd(world: LogWorld, facts: KnownFacts, before: ReadonlyMap<bigint, Buffer>): bigint {
  const { model, plan } = world;
  let promised = plan.flush === 'os' && world.powerCut ? model.sealedEnd : model.ackedEnd;
  if (plan.flush === 'os' && world.syncLied) promised = 0n;
  const lastBase = [...before.keys()].at(-1) ?? 0n;
  const damaged = [...world.damagedAtStart].flatMap(([base, batches]) => (base >= lastBase ? batches : []));
  // Damage to what nothing knows as synced looks like a torn write.
  for (const batch of damaged) if (batch >= facts.knownSynced) promised = least(promised, batch);
  return promised;
}

/** The log files by their base offsets, and what of them is damaged by injection. */
function logContents(world: LogWorld): Map<bigint, Buffer> {
  const contents = new Map<bigint, Buffer>();
  for (const base of basesOf(world.disk, 'log')) {
    contents.set(base, world.disk.names.file(segmentFile(base, 'log'))?.content() ?? Buffer.alloc(0));
    const damaged = damagedBatches(world, base);
    if (damaged.length > 0) world.damagedAtStart.set(base, [...(world.damagedAtStart.get(base) ?? []), ...damaged]);
  }
  if (world.damagedAtStart.size > 0) world.hadLogDamage = true;
  return contents;
}

/** A refused log is never changed, but for a torn end of it that is no part of what is damaged. */
function checkUntouched(world: LogWorld, before: ReadonlyMap<bigint, Buffer>): void {
  for (const [base, content] of before) {
    if (!world.damagedAtStart.has(base)) continue;
    const now = world.disk.names.file(segmentFile(base, 'log'))?.content();
    if (now?.equals(content.subarray(0, now.length)) !== true)
      throw new Violation(`the log from ${base} was refused, but changed`);
  }
}

function noteSights(world: LogWorld, log: PartitionLog, before: ReadonlyMap<bigint, Buffer>): void {
  const { model, tally } = world;
  const last = [...before].at(-1);
  if (last === undefined) return;
  const [base, content] = last;
  const isHeaderWhole = content.length >= 111 && content[0] === 0x12;
  if (!isHeaderWhole) tally.add('seen: last segment unborn');
  if (base > 0n && log.logEnd === base) tally.add('seen: last segment empty');
  if (world.syncFailed) tally.add('seen: opened after a failed sync');
  if (log.cutBytes === 0 || world.hadLogDamage) return;
  tally.add('seen: torn tail cut');
  const behind = model.batches.slice(model.numberOf(log.logEnd) + 1, model.numberOf(log.logEnd) + 40);
  if (behind.some(({ bytes }) => content.includes(bytes))) tally.add('seen: batches behind a torn one');
}
