/** The start of a program on the simulated disk, as a broker starts: marker, checkpoint, log. */
import type { PartitaError } from '@partita/domain';
import { createLogDevice, openPartitionLog } from '@partita/log';
import type { LogDevice, PartitionLog } from '@partita/log';
import { isExcused, reasonOf } from './excuses.ts';
import type { Excuses } from './excuses.ts';
import { CLUSTER_ID, DATA, DIRECTORY, PARTITION, TOPIC_ID } from './log-identity.ts';
import { checkOpened, checkUntouched, logContents } from './log-opened.ts';
import type { LogWorld } from './log-world.ts';
import { settle } from './settle.ts';
import { learnFacts, writeStart } from './stored-facts.ts';
import type { KnownFacts, StoredFacts } from './stored-facts.ts';
import { isDamaged } from './stored-files.ts';
import { Violation } from './trace.ts';

/** A log that is open, and what it said when it was. */
export interface OpenedLog {
  readonly log: PartitionLog;
  readonly device: LogDevice;
}

export interface LogListeners {
  readonly onSynced: (endOffset: bigint) => void;
  readonly onFailed: (error: PartitaError) => void;
  readonly onCut: (endOffset: bigint) => Promise<void>;
}

/** `refused`: the log is damaged and says so. `again`: this attempt failed for a reason that may go away. */
export type Start = OpenedLog | 'refused' | 'again';

/** Starts a program and opens the log. */
export async function startProgram(world: LogWorld, records: StoredFacts, listeners: LogListeners): Promise<Start> {
  const excuses: Excuses = { errorCount: world.errorCount, readFlipCount: world.readFlipCount };
  world.phase = 'start';
  const before = logContents(world);
  const facts: KnownFacts = { cleanEnd: undefined, knownSynced: 0n, logStart: 0n };
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

async function open(
  world: LogWorld,
  stored: StoredFacts,
  listeners: LogListeners,
  known: KnownFacts,
): Promise<OpenedLog> {
  const { time, plan, mutant } = world;
  const life = world.disk.start();
  const disk = mutant?.wrapDisk?.(life, world) ?? life;
  await learnFacts(world, disk, stored, known);
  const device = await createLogDevice({ disk, directory: DATA, clock: time, timers: time });
  const log = await openPartitionLog({
    device,
    dir: DIRECTORY,
    clusterId: CLUSTER_ID,
    topicId: TOPIC_ID,
    partition: PARTITION,
    settings: { segmentBytesMax: plan.segmentBytesMax, segmentAgeMsMax: Infinity, flush: plan.flush },
    cleanShutdown: mutant?.trustsEveryStart === true || known.cleanEnd !== undefined,
    knownSynced: mutant?.forgetsCheckpoints === true ? 0n : known.knownSynced,
    logStart: known.logStart,
    ...listeners,
  });
  // As a broker does: what is appended below it must not be taken for deleted at the next start.
  if (known.logStart > log.logEnd) await writeStart(disk, stored, log.logEnd);
  return { log, device };
}
