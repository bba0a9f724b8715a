/** A trim as a broker does it: the new start is noted durably, then the log is told. */
import { writeStart } from './stored-facts.ts';
import type { StoredFacts } from './stored-facts.ts';
import { most } from './log-model.ts';
import type { OpenedLog } from './log-start.ts';
import type { LogWorld } from './log-world.ts';
import { settle } from './settle.ts';

/** Throws a Violation when nothing excuses the error. */
export type Excuse = (error: unknown, what: string) => void;

/** Calls after the beginning of a deletion within which the power may be made to go. */
export const DELETION_CALL_MAX = 25;

/** Trims to somewhere below what was told to be durable. */
export async function trimChecked(
  world: LogWorld,
  facts: StoredFacts,
  { log, device }: OpenedLog,
  excuse: Excuse,
): Promise<void> {
  const { model, random, plan, disk, trace, tally, mutant } = world;
  if (model.ackedEnd <= model.logStart) return;
  const isWhole = random.chance(0.1);
  const to = isWhole ? model.ackedEnd : BigInt(random.between(Number(model.logStart) + 1, Number(model.ackedEnd)));
  // No cut goes below what was deleted.
  model.highMark = most(model.highMark, model.batches[model.numberOf(to - 1n)]?.next ?? to);
  if (random.chance(plan.deletionCrash)) disk.faults.failAt(random.between(1, DELETION_CALL_MAX), 'power');
  trace.note(`    trim to ${to} of ${model.logStart}..${model.ackedEnd}`);
  world.phase = 'trim';
  if (mutant?.trimsBeforeNote === true) {
    model.logStart = to;
    await settle(log.trim(to), 'the trim');
  }
  const noted = await settle(writeStart(device.disk, facts, to), 'the note of the start');
  if ('value' in noted) {
    model.logStart = to;
    const outcome = await settle(log.trim(to), 'the trim');
    if ('error' in outcome) excuse(outcome.error, 'trim');
    else tally.add('trims');
  } else excuse(noted.error, 'note of the start');
  world.phase = 'run';
}
