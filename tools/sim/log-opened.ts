/** What a log must hold when it opens, and what may be changed when it does not. */
import type { PartitionLog } from '@partita/log';
import { checkState } from './log-checks.ts';
import { least, most } from './log-model.ts';
import type { LogWorld } from './log-world.ts';
import type { KnownFacts } from './stored-facts.ts';
import { basesOf, damagedBatches, isDamaged, segmentFile } from './stored-files.ts';
import { Violation } from './trace.ts';

/** The log files by their base offsets, lowest first. */
export type LogContents = ReadonlyMap<bigint, Buffer>;

/** What a log that opened must hold. Makes the model that of the log. */
export function checkOpened(world: LogWorld, log: PartitionLog, facts: KnownFacts, before: LogContents): void {
  const { model, plan, tally, trace } = world;
  const isOs = plan.flush === 'os';
  const end = log.logEnd;
  noteRestart(world, log);
  trace.note(`  opened: ${log.logStart}..${end}, cut ${log.cutBytes}, suspect ${log.suspect ?? 'no'}`);
  const floor = promisedEnd(world, facts, before);
  if (log.suspect !== undefined) {
    tally.add('seen: suspect');
    // What was lost before, and told, stays lost until a new checkpoint is written.
    const isLost = (isOs && world.powerCut) || facts.knownSynced <= world.suspectBelow;
    if (!isLost && !world.hadLogDamage) throw new Violation(`suspect by a power cut alone: ${log.suspect}`);
    world.suspectBelow = most(world.suspectBelow, facts.knownSynced);
  } else if (end < floor) throw new Violation(`lost: the log ends at ${end}, promised was ${floor}`);
  // Damage that passed for a torn write, since the checkpoint could not be read at this start: the next one can read it.
  else if (world.hadLogDamage && end < model.end) world.suspectBelow = most(world.suspectBelow, model.end);
  if (end > model.end || !model.isBoundary(end)) throw new Violation(`wrong offset: the log ends at ${end}`);
  noteSights(world, log, before);
  world.damagedAtStart.clear();
  world.hadLogDamage = isDamaged(world);
  const removed = [...before.keys()].filter((_, number, bases) => (bases[number + 1] ?? end + 1n) <= facts.logStart);
  if (removed.length > 0) tally.add('seen: trim finished at a start');
  model.restart(end);
  model.logStart = most(least(facts.logStart, end), model.restartedAt);
  model.compaction.restart(log.compaction.cleanedTo, plan.readFlip > 0);
  checkState(log, model);
}

/** A restart that was under way has ended one way or the other. */
function noteRestart({ model, tally }: LogWorld, log: PartitionLog): void {
  const base = model.restarting?.base;
  if (base === undefined) return;
  const isNew = log.segments[0]?.baseOffset === base && log.logEnd === base;
  if (isNew) tally.add('seen: restart completed at a start');
  if (isNew) model.endRestart(true, base);
  else model.restarting = undefined;
}

/** Offset below which nothing may be missing from a log that is not suspect. */
function promisedEnd(world: LogWorld, facts: KnownFacts, before: LogContents): bigint {
  const { model, plan } = world;
  let promised = plan.flush === 'os' && world.powerCut ? model.sealedEnd : model.ackedEnd;
  if (plan.flush === 'os' && world.syncLied) promised = 0n;
  const lastBase = [...before.keys()].at(-1) ?? 0n;
  const damaged = [...world.damagedAtStart].flatMap(([base, batches]) => (base >= lastBase ? batches : []));
  // Damage to what nothing knows as synced looks like a torn write.
  for (const batch of damaged) {
    const before = model.batches[model.numberOf(batch) - 1]?.next ?? 0n;
    if (batch >= facts.knownSynced) promised = least(promised, before);
  }
  return promised;
}

/** The log files by their base offsets, and what of them is damaged by injection. */
export function logContents(world: LogWorld): LogContents {
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
export function checkUntouched(world: LogWorld, before: LogContents): void {
  for (const [base, content] of before) {
    if (!world.damagedAtStart.has(base)) continue;
    const now = world.disk.names.file(segmentFile(base, 'log'))?.content();
    if (now?.equals(content.subarray(0, now.length)) !== true)
      throw new Violation(`the log from ${base} was refused, but changed`);
  }
}

function noteSights(world: LogWorld, log: PartitionLog, before: LogContents): void {
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
