/**
 * Deleting one replica by an order that names it and a committed config without it. What it knew becomes a kept floor, in the
 * journal entry that removes it; its files go after that, and the next start removes what a crash leaves of them.
 */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isUuid, partitionKey, PartitaError } from '@partita/domain';
import type { TopicPartition } from '@partita/domain';
import { KeptFloor, ReplicaMeta } from '@partita/protocol';
import { belongsTo } from '@partita/replication';
import type { DataDirectory } from './data-directory.ts';
import { floorKey, REPLICA_PREFIX, replicaKey, startKey } from './journal-keys.ts';
import { floorRoomFault, keptFloor, keptFloors, raisedFloor } from './kept-floors.ts';
import type { PartitionActor } from './partition-actor.ts';
import type { PartitionRegistry } from './partition-registry.ts';
import { knownConfigs } from './peer-messages.ts';
import { badField } from './replica-creation.ts';

/** Names a replica and what is known without it. */
export interface DeletionOrder extends TopicPartition {
  readonly replicaId: string;
  /** Committed, without the replica. */
  readonly configVersion: number;
  /** Epoch of the leader that knows so. */
  readonly leaderEpoch: number;
}

export interface DeletionPlace {
  readonly directory: DataDirectory;
  readonly registry: PartitionRegistry;
  readonly wallMs: number;
}

/** Throws what DeleteReplica answers; a replica that was deleted before is no error. One call at a time. */
export async function deleteReplica(order: DeletionOrder, place: DeletionPlace): Promise<void> {
  checkOrder(order);
  const { directory, registry, wallMs } = place;
  const { journal } = directory;
  const key = replicaKey(order);
  const stored = journal.get(key);
  const found = stored === undefined ? undefined : ReplicaMeta.decode(stored);
  if (found?.replicaId !== order.replicaId) {
    if (keptFloor(journal, order) !== undefined) return;
    throw notFound(order);
  }
  const actor = registry.actor(order.topicId, order.partition);
  const fault = orderFault(order, found, actor) ?? floorRoomFault(journal, order);
  if (fault !== undefined) throw fault;
  await actor?.retire();
  // As it is now: what was on its way into the journal is there.
  const meta = ReplicaMeta.decode(journal.get(key) ?? new Uint8Array());
  const floor = raisedFloor(keptFloor(journal, order), {
    configFloor: Math.max(order.configVersion, meta.configFloor),
    promisedEpoch: Math.max(order.leaderEpoch, meta.promisedEpoch),
    replicaId: order.replicaId,
    deleteTimeMs: BigInt(wallMs),
  });
  const changes = [
    [floorKey(order), KeptFloor.encode(floor).finish()],
    [key, undefined],
    [startKey(order), undefined],
  ] as const;
  await journal.put(new Map(changes));
  const { topicId } = order;
  registry.removeReplica(order);
  await removeReplicaFiles(directory, order);
  if (!holdsTopic(directory, topicId)) registry.removeTopic(topicId);
}

function checkOrder({ replicaId, configVersion, leaderEpoch }: DeletionOrder): void {
  if (!isUuid(replicaId)) throw badField('replica_id', replicaId, 'a lower-case UUID');
  if (configVersion < 1) throw badField('config_version', String(configVersion), 'at least 1');
  if (leaderEpoch < 0) throw badField('leader_epoch', String(leaderEpoch), 'at least 0');
}

/** Why this replica is not to be deleted by this order: more is known here than there. */
function orderFault(
  order: DeletionOrder,
  meta: ReplicaMeta,
  actor: PartitionActor | undefined,
): PartitaError | undefined {
  const { configVersion, leaderEpoch, replicaId } = order;
  const configs = actor?.state.configs ?? knownConfigs(meta);
  const floor = actor?.state.configFloor ?? meta.configFloor;
  const promised = actor?.state.meta.promisedEpoch ?? meta.promisedEpoch;
  // One of that very version that nobody knows to be committed is what the committed one has overruled.
  const wanting = configs.find(
    (config) =>
      belongsTo(config, replicaId) &&
      (config.version > configVersion || (config.version === configVersion && floor >= configVersion)),
  );
  if (wanting !== undefined) return fenced(order, promised, `config ${wanting.version} holds it`);
  if (actor?.leader !== undefined && actor.leader.epoch >= leaderEpoch)
    return fenced(order, promised, `it leads epoch ${actor.leader.epoch}`);
  if (promised > leaderEpoch && floor > configVersion)
    return fenced(order, promised, `config ${floor} and epoch ${promised} are known here`);
  return undefined;
}

function fenced({ topicId, partition, leaderEpoch }: DeletionOrder, promised: number, why: string): PartitaError {
  return new PartitaError('FENCED_EPOCH', `the replica is not deleted: ${why}; look at the replica set again`, {
    topic_id: topicId,
    partition: String(partition),
    epoch: String(leaderEpoch),
    promised: String(promised),
  });
}

function notFound({ topicId, partition, replicaId }: DeletionOrder): PartitaError {
  const message = `this broker never held replica ${replicaId} of partition ${partition} of topic ${topicId}`;
  return new PartitaError('REPLICA_NOT_FOUND', message, { topic_id: topicId, partition: String(partition) });
}

/**
 * Removes what is left of the files of replicas that are deleted, and forgets those of which nobody can ask any more. Call it
 * before anything is opened.
 */
export async function finishReplicaDeletions(
  directory: DataDirectory,
  isOld: (floor: KeptFloor) => boolean,
): Promise<void> {
  const { journal, dir } = directory;
  const topicIds = new Set(await readdir(dir));
  const old: string[] = [];
  for (const [key, floor] of keptFloors(journal)) {
    const [topicId = '', partition = ''] = key.split('/');
    const place = { topicId, partition: Number(partition) };
    if (journal.get(replicaKey(place)) !== undefined) continue;
    if (topicIds.has(topicId)) await removeReplicaFiles(directory, place);
    if (isOld(floor)) old.push(floorKey(place));
  }
  await journal.delete(old);
}

/** Of a replica that the journal no longer has; the topic's own file goes with the last one, unless another is coming. */
export async function removeReplicaFiles(
  directory: DataDirectory,
  place: TopicPartition,
  topic: 'remove the last' | 'keep the topic' = 'remove the last',
): Promise<void> {
  const { topicId } = place;
  const dir = join(directory.dir, partitionKey(place));
  for (const path of [dir, `${dir}.damaged`]) await rm(path, { recursive: true, force: true });
  if (topic === 'remove the last' && !holdsTopic(directory, topicId))
    await rm(join(directory.dir, topicId), { recursive: true, force: true });
}

/** True when the journal has a replica of the topic. */
function holdsTopic({ journal }: DataDirectory, topicId: string): boolean {
  const prefix = `${REPLICA_PREFIX}${topicId}/`;
  for (const [key] of journal.entries()) if (key.startsWith(prefix)) return true;
  return false;
}
