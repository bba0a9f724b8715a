/** The part of a simulated program that drops its log for the beginning of its leader's: it had fallen too far behind. */
import { createLogDevice, openPartitionLog } from '@partita/log';
import { MemoryDisk } from '@partita/testkit';
import { reasonOf } from './excuses.ts';
import { CLUSTER_ID, DATA, DIRECTORY, makeBatch, PARTITION, TOPIC_ID } from './log-identity.ts';
import type { StoredBatch } from './log-identity.ts';
import { DELETION_CALL_MAX } from './log-trim.ts';
import type { Excuse } from './log-trim.ts';
import type { OpenedLog } from './log-start.ts';
import type { LogWorld } from './log-world.ts';
import { settle } from './settle.ts';
import { writeStart } from './stored-facts.ts';
import type { StoredFacts } from './stored-facts.ts';

/** The log has what its leader has up to somewhere; the leader has more, and deleted all of it. */
export async function restartChecked(
  world: LogWorld,
  facts: StoredFacts,
  { log, device }: OpenedLog,
  excuse: Excuse,
): Promise<void> {
  const { model, random, plan, disk, trace, tally } = world;
  const common = random.pick([
    model.end,
    ...model.batches.map(({ next }) => next).filter((next) => next >= model.highMark),
  ]);
  const kept = model.batches.filter(({ next }) => next <= common);
  const batches = [...kept, ...leaderBatches(world, common)];
  const base = batches.at(-1)?.next ?? 0n;
  const content = await leaderSnapshot(world, batches);
  if (random.chance(plan.deletionCrash)) disk.faults.failAt(random.between(1, DELETION_CALL_MAX), 'power');
  trace.note(`    restart at ${base}, in common ${common} of ${model.end}`);
  world.phase = 'cut';
  model.beginRestart(base, batches);
  const outcome = await settle(log.restart(base, content), 'the restart');
  world.phase = 'run';
  if ('error' in outcome) {
    if (reasonOf(outcome.error) !== 'STORAGE_FULL') excuse(outcome.error, 'restart');
    if (!disk.isRunning || world.hasFailed) return;
    model.endRestart(false, log.logEnd);
    model.ackedEnd = log.syncedEnd;
    return;
  }
  model.endRestart(true, base);
  tally.add('restarts');
  if (random.chance(0.5)) return;
  const noted = await settle(writeStart(device.disk, facts, base), 'the note of the start');
  if ('error' in noted) excuse(noted.error, 'note of the start');
}

function leaderBatches({ model, random, time }: LogWorld, from: bigint): StoredBatch[] {
  const batches: StoredBatch[] = [];
  let end = from;
  model.epoch += 1;
  for (let left = random.below(5); left > 0; left -= 1) {
    const base = end + BigInt(random.below(3));
    const now = BigInt(time.wallMs());
    const batch = makeBatch({
      ...{ base, epoch: model.epoch, appendTimeMs: now, timestampMs: now },
      ...{ recordCount: random.between(1, 3), value: Buffer.alloc(10, left) },
    });
    batches.push(batch);
    end = batch.next;
  }
  return batches;
}

/** What a leader with these batches, all of them deleted, hands to a follower. */
async function leaderSnapshot({ time }: LogWorld, batches: readonly StoredBatch[]): Promise<Buffer> {
  const disk = new MemoryDisk();
  await disk.makeDirectory(DATA);
  const device = await createLogDevice({ disk, directory: DATA, clock: time, timers: time });
  const log = await openPartitionLog({
    ...{ device, dir: DIRECTORY, clusterId: CLUSTER_ID, topicId: TOPIC_ID, partition: PARTITION },
    settings: { segmentBytesMax: 64 * 1024 ** 2, segmentAgeMsMax: Infinity, flush: 'fsync' },
    cleanShutdown: false,
    onSynced: () => undefined,
    onFailed: () => undefined,
  });
  for (const { bytes } of batches) {
    log.appendReplicated(bytes);
    // Also waits for what was appended.
    if (log.queuedBytes > 1024 ** 2) await log.truncate(log.logEnd);
  }
  await log.truncate(log.logEnd);
  await log.trim(log.logEnd);
  const { content } = await log.firstSnapshot();
  await log.close({ clean: false });
  device.space.close();
  return content;
}
