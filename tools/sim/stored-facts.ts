/** What the files beside a log say at a start, clean-shutdown marker and checkpoint, held against what was written. */
import { partitionKey } from '@partita/domain';
import { diskErrorCode, readCheckpoint, takeCleanShutdown } from '@partita/log';
import type { Disk } from '@partita/log';
import { DATA, PARTITION, TOPIC_ID } from './log-identity.ts';
import type { LogWorld } from './log-world.ts';
import { Violation } from './trace.ts';

/** The partition's key in both files. */
export const KEY = partitionKey({ topicId: TOPIC_ID, partition: PARTITION });

const START_FILE = `${DATA}/start`;

/** What the start learns before it opens the log. */
export interface KnownFacts {
  cleanEnd: bigint | undefined;
  knownSynced: bigint;
  logStart: bigint;
}

/** What the files beside the log may say: the values that a power cut may leave. */
export interface StoredFacts {
  /** End offset in the clean-shutdown marker, when one may be there; and whether it must be. */
  marker: { readonly end: bigint; readonly isCertain: boolean } | undefined;
  /** Synced ends that the checkpoint may hold; undefined stands for no file. */
  checkpoints: (bigint | undefined)[];
  /** Log starts that may be noted. */
  starts: readonly bigint[];
}

/** Takes the marker and reads the checkpoint, as a broker does before it opens its logs. */
export async function learnFacts(world: LogWorld, disk: Disk, stored: StoredFacts, known: KnownFacts): Promise<void> {
  known.cleanEnd = await takeMarker(world, disk, stored);
  const saved = await readCheckpoint(disk, DATA);
  const syncedEnd = saved?.get(KEY)?.syncedEnd;
  if (saved !== undefined && !stored.checkpoints.includes(syncedEnd)) {
    throw new Violation(`the checkpoint holds ${syncedEnd}, not ${stored.checkpoints.join(' or ')}`);
  }
  // A checkpoint that is older than the newest is harmless: it only ever lags behind.
  const isStale = world.random.chance(0.2);
  known.knownSynced = known.cleanEnd ?? (isStale ? 0n : (syncedEnd ?? 0n));
  if (world.plan.weights.some(([step]) => step === 'trim'))
    known.logStart = await readStart(disk, stored, () => world.readFlipCount > 0);
}

/** Notes the offset below which everything may be deleted: it stands for the broker's journal, which is simulated alone. */
export async function writeStart(disk: Disk, stored: StoredFacts, logStart: bigint): Promise<void> {
  stored.starts = [...stored.starts, logStart];
  await disk.writeFileAtomically(START_FILE, Buffer.from(`${logStart} ${logStart}`));
  stored.starts = [logStart];
}

/** The log start that is noted, durable from here on, whatever program wrote it. */
export async function readStart(disk: Disk, stored: StoredFacts, mayFlip = (): boolean => false): Promise<bigint> {
  let noted: bigint | undefined;
  while (noted === undefined) {
    const content = await disk.readFile(START_FILE).catch((error: unknown) => {
      if (diskErrorCode(error) === 'ENOENT') return Buffer.from('0 0');
      throw error;
    });
    const [one, other] = content.toString('latin1').split(' ');
    // A bit that was wrong on the way; the journal reads twice too.
    if (one === other && one !== undefined) noted = BigInt(one);
    else if (!mayFlip()) throw new Violation('the noted log start is damaged');
  }
  if (!stored.starts.includes(noted))
    throw new Violation(`lost: log start ${noted} is noted, not ${stored.starts.join(' or ')}`);
  await disk.syncDirectory(DATA);
  stored.starts = [noted];
  return noted;
}

async function takeMarker(world: LogWorld, disk: Disk, stored: StoredFacts): Promise<bigint | undefined> {
  const { marker: written } = stored;
  // Taking it may end anywhere: from here on it is there or not.
  if (written !== undefined) stored.marker = { ...written, isCertain: false };
  const flips = world.readFlipCount;
  const marker = await takeCleanShutdown(disk, DATA);
  stored.marker = undefined;
  // It has no checksum; what a wrong bit makes of it is left out here.
  if (world.readFlipCount > flips) return undefined;
  const found = marker?.logEnds.get(KEY);
  checkMarker(written, found);
  return found;
}

/** The marker speaks of the last stop or it is not there. */
function checkMarker(written: StoredFacts['marker'], found: bigint | undefined): void {
  if (found !== undefined && found !== written?.end)
    throw new Violation(`a clean shutdown at ${found} is of another run`);
  if (found === undefined && written?.isCertain === true) throw new Violation('the clean-shutdown marker is lost');
}
