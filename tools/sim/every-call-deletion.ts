/** What the script of every call does when it deletes: a trim with its note, a compaction and its swap. */
import { compactSegments, planCompaction } from '@partita/log';
import type { Disk, PartitionLog } from '@partita/log';
import type { StoredRecord } from './log-identity.ts';
import type { LogModel } from './log-model.ts';
import { writeStart } from './stored-facts.ts';
import type { StoredFacts } from './stored-facts.ts';

/** Which way of deleting a script takes. */
export type Deletion = 'cut' | 'trim' | 'compaction';

const HOOKS = { monotonicMs: (): number => 0, wait: (): Promise<void> => Promise.resolve(), hashSeed: 12345 };

/** What the script's batch of that number says: few keys, so that most records end one before; some never go. */
export function scriptedRecord(number: number): StoredRecord {
  if (number % 11 === 10) return { key: undefined, isTombstone: false };
  return { key: `key ${number % 3}`, isTombstone: number % 7 === 6 };
}

/** Trims within the second of the last segments. */
export async function trimScripted(log: PartitionLog, disk: Disk, model: LogModel, facts: StoredFacts): Promise<void> {
  const to = model.batches.at(-3)?.base ?? 0n;
  await writeStart(disk, facts, to);
  model.logStart = to;
  await log.trim(to);
}

/** Closes the active segment and compacts all others; the second time tombstones may go. */
export async function compactScripted(log: PartitionLog, disk: Disk, model: LogModel, nowMs: number): Promise<void> {
  await log.roll();
  const rules = { nowMs, highWatermark: model.ackedEnd, lagMs: 0, tombstoneDelayMs: 0, bytesPerSecondMax: undefined };
  const plan = await planCompaction(log, rules);
  if (plan === undefined) return;
  model.compaction.checkPlan(plan, nowMs, 0);
  const result = await compactSegments(disk, plan, HOOKS);
  model.compaction.begin(plan, result.cleanedTo, nowMs);
  if (await log.adopt({ plan, result, tombstoneDelayMs: 0, clockIsTrusted: true }))
    model.compaction.end(result.cleanedTo);
}
