/** Readings of a log that are held against the model: at random places, and of everything. */
import type { LogSlice, PartitionLog } from '@partita/log';
import { checkSlice, checkTime } from './log-checks.ts';
import type { ReadingStart } from './log-checks.ts';
import { isExcused, reasonOf } from './excuses.ts';
import type { Excuses } from './excuses.ts';
import type { LogWorld } from './log-world.ts';
import { isDamagedAt } from './stored-files.ts';
import { Violation } from './trace.ts';

/** How often a reading that a flipped bit spoiled is tried again: the bit is wrong on the way only. */
const ATTEMPT_COUNT_MAX = 3;

/** Reads somewhere. */
export async function readChecked(world: LogWorld, log: PartitionLog): Promise<void> {
  const { random, tally, model } = world;
  const from = BigInt(random.below(Number(log.logEnd) + 1));
  const end = random.chance(0.7) ? log.logEnd : BigInt(random.below(Number(log.logEnd) + 1));
  const maxBytes = random.pick([1, 500, 5000, 100_000]);
  tally.add('reads');
  await attempt(world, from, async () => {
    const { logStart } = model;
    const start = startOf(world, log, { from, end, maxBytes });
    const slice = await log.read(from, end, maxBytes).catch((error: unknown) => {
      const isOutside = from > log.logEnd || model.mayBeDeleted(from);
      if (reasonOf(error) === 'OFFSET_OUT_OF_RANGE' && isOutside) return undefined;
      throw error;
    });
    if (slice !== undefined && from < logStart)
      throw new Violation(`came back: offset ${from} was served, deleted below ${logStart}`);
    if (slice !== undefined) check(world, slice, start);
  });
}

/** Asks for a time. */
export async function findTimeChecked(world: LogWorld, log: PartitionLog): Promise<void> {
  const { random, time, model, tally } = world;
  const timestampMs = BigInt(time.wallMs() - random.below(20_000));
  tally.add('times asked');
  await attempt(world, undefined, async () => {
    const { cutCount, logStart } = model;
    const start = { timestampMs, cutCount, logStart, syncedEnd: log.syncedEnd };
    checkTime(model, await log.offsetForTime(timestampMs), start);
  });
}

/** Reads everything that is durable; what is damaged by injection is passed over. */
export async function readAllChecked(world: LogWorld, log: PartitionLog): Promise<void> {
  const { model, random, disk } = world;
  const maxBytes = random.pick([1000, 20_000, 200_000]);
  let from = log.logStart;
  while (from < log.syncedEnd && disk.isRunning) {
    const start = startOf(world, log, { from, end: log.syncedEnd, maxBytes });
    const begin = from;
    let next: bigint | undefined;
    await attempt(world, begin, async () => {
      const slice = await log.read(begin, start.end, maxBytes);
      check(world, slice, start);
      next = slice.nextOffset;
    });
    // Nothing may be left up to the end; what a fault spoiled is passed over.
    if (next === begin) break;
    from = next ?? model.batches[model.numberOf(begin)]?.next ?? start.end;
    if (from < model.logStart) from = model.logStart;
  }
}

function startOf(
  world: LogWorld,
  log: PartitionLog,
  range: Pick<ReadingStart, 'from' | 'end' | 'maxBytes'>,
): ReadingStart {
  const { cutCount, compaction } = world.model;
  return { ...range, cutCount, syncedEnd: log.syncedEnd, cleanedTo: compaction.cleanedTo };
}

function check(world: LogWorld, slice: LogSlice, start: ReadingStart): void {
  world.tally.add('bytes read', slice.bytes.length);
  checkSlice(world.model, slice, start);
}

/** Tries until it succeeds or fails for good, which only damage and faults excuse. `from`: where it reads first. */
async function attempt(world: LogWorld, from: bigint | undefined, read: () => Promise<void>): Promise<void> {
  let before: Excuses = { errorCount: 0, readFlipCount: 0 };
  for (let left = ATTEMPT_COUNT_MAX; left > 0; left -= 1) {
    const now = { errorCount: world.errorCount, readFlipCount: world.readFlipCount };
    try {
      await read();
      return;
    } catch (error) {
      if (error instanceof Violation) throw error;
      // An attempt may share the loading of an index with a reading that a fault met just before.
      const since = before;
      before = now;
      if (reasonOf(error) === 'CORRUPT_BATCH' && world.readFlipCount > now.readFlipCount) {
        world.tally.add('seen: read flip caught');
      }
      if (isFinal(world, error, from, since)) return;
    }
  }
}

/** Whether trying again is of no use. A Violation when nothing excuses the error. */
function isFinal(world: LogWorld, error: unknown, from: bigint | undefined, since: Excuses): boolean {
  const reason = reasonOf(error);
  if (!world.disk.isRunning || reason === 'SHUTTING_DOWN' || world.hasFailed) return true;
  // A trim was faster.
  if (reason === 'OFFSET_OUT_OF_RANGE' && from !== undefined && world.model.mayBeDeleted(from)) return true;
  if (reason === 'CORRUPT_BATCH' && world.readFlipCount > since.readFlipCount) return false;
  if (reason === 'CORRUPT_BATCH' && isDamageMet(world, from)) {
    world.tally.add('seen: damaged batch not served');
    return true;
  }
  if (!isExcused(world, error, since)) throw new Violation(`a reading failed: ${String(error)}`);
  return false;
}

function isDamageMet(world: LogWorld, from: bigint | undefined): boolean {
  if (world.plan.flush === 'os' && world.syncLied) return true;
  return from === undefined ? world.hadLogDamage : world.hadLogDamage && isDamagedAt(world, from);
}
