/** ElectionService: promises and orders to lead, many partitions in one call. The rules are in @partita/replication. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  asPartitaError,
  LEADER_LEVEL_MS_MAX,
  LEADER_PAUSE_MS_MAX,
  PartitaError,
  PEER_CALL_ENTRY_COUNT_MAX,
} from '@partita/domain';
import type { Clock, Timers, TopicPartition } from '@partita/domain';
import { ElectionServiceService } from '@partita/protocol';
import type { KeptFloor, LeadEntry, LeadResult, PromiseEntry, PromiseResult } from '@partita/protocol';
import type { LeadOutcome, PromiseOutcome } from '@partita/replication';
import { inCalledPart, toRpcStatus } from '@partita/rpc';
import { implement, unary } from '@partita/rpc/server';
import type { Implementation } from '@partita/rpc/server';
import { checkCluster } from './cluster-check.ts';
import { outOfRange } from './broker-service/request-checks.ts';
import type { PartitionActor } from './partition-actor.ts';
import type { PartitionRegistry } from './partition-registry.ts';
import { replicaConfigRecord } from './peer-messages.ts';

const NONCE_BYTES = 16;

const NO_PROMISE = {
  granted: false,
  promisedEpoch: 0,
  lastEpoch: 0,
  logEndOffset: 0n,
  highWatermark: 0n,
  suspect: false,
  configs: [],
  configFloor: 0,
} as const satisfies Partial<PromiseResult>;

/** Entries taken in before other requests get a turn; each costs some 50 µs. */
const ENTRIES_PER_TURN_COUNT = 250;

export interface DeletedHere {
  /** Id of the deletion of a topic; undefined when it was not deleted here. */
  deleteIdOf(topicId: string): string | undefined;
  /** What is kept of replicas of the partition that were deleted here. */
  floorOf(place: TopicPartition): KeptFloor | undefined;
}

export interface ElectionOptions {
  readonly registry: PartitionRegistry;
  readonly clusterId: string;
  /** What the broker remembers of what was deleted here. */
  readonly deleted: DeletedHere;
  readonly clock: Clock;
  readonly timers: Timers;
  /** Told of a partition that pauses, so that the pause ends. */
  readonly onPaused: (actor: PartitionActor) => void;
}

/** All entries of a call are fed before any is awaited, so that few fsyncs of the journal serve them all. */
export function electionMethods(options: ElectionOptions): Implementation<typeof ElectionServiceService> {
  const { registry, clusterId, deleted } = options;
  return implement(ElectionServiceService, {
    promiseBatch: unary(async (request) => {
      checkCluster(clusterId, request.clusterId);
      const attributes = { 'partita.partition_count': request.entries.length };
      return inCalledPart('elect', 'grant promises', attributes, async (part) => {
        const results = await inTurns(request.entries, (entry) => promise(registry, deleted, entry));
        part.set('partita.granted_count', results.filter(({ granted }) => granted).length);
        return { results };
      });
    }),
    leadBatch: unary(async (request) => {
      checkCluster(clusterId, request.clusterId);
      const attributes = { 'partita.partition_count': request.entries.length };
      return inCalledPart('elect', 'begin epochs', attributes, async (part) => {
        const results = await inTurns(request.entries, (entry) => lead(registry, entry));
        part.set('partita.leading_count', results.filter(({ leading }) => leading).length);
        return { results };
      });
    }),
    pauseAppends: unary(async (request) => {
      checkCluster(clusterId, request.clusterId);
      if (request.entries.length > PEER_CALL_ENTRY_COUNT_MAX)
        throw outOfRange('entries', request.entries.length, `0..${PEER_CALL_ENTRY_COUNT_MAX} entries`);
      const attributes = { 'partita.partition_count': request.entries.length };
      return inCalledPart('elect', 'pause appends', attributes, async (part) => {
        const logEndOffsets = await pauseAll(options, request.entries);
        part.set('partita.level_count', logEndOffsets.filter((end) => end >= 0n).length);
        return { logEndOffsets };
      });
    }),
  });
}

/** Each answers by itself at the latest when it is looked at after its time. */
async function pauseAll(
  { registry, clock, timers, onPaused }: ElectionOptions,
  entries: readonly LeadEntry[],
): Promise<bigint[]> {
  const nowMs = clock.monotonicMs();
  const levelByMs = nowMs + LEADER_LEVEL_MS_MAX;
  const untilMs = nowMs + LEADER_PAUSE_MS_MAX;
  const paused: PartitionActor[] = [];
  const timer = timers.after(LEADER_LEVEL_MS_MAX, () => {
    for (const actor of paused) actor.feed({ kind: 'expire', nowMs: levelByMs });
  });
  const ends = await inTurns(entries, ({ topicId, partition, epoch, replicaId: successorId }) => {
    const actor = registry.actor(topicId, partition);
    if (actor === undefined || actor.isClosed) return Promise.resolve(-1n);
    paused.push(actor);
    onPaused(actor);
    return new Promise<bigint>((reply) => {
      actor.feed({ kind: 'pause', epoch, successorId, levelByMs, untilMs, reply });
    });
  });
  timer.cancel();
  return ends;
}

/** `answer` never rejects. */
async function inTurns<Entry, Result>(
  entries: readonly Entry[],
  answer: (entry: Entry) => Promise<Result>,
): Promise<Result[]> {
  const answers: Promise<Result>[] = [];
  for (const entry of entries) {
    if (answers.length > 0 && answers.length % ENTRIES_PER_TURN_COUNT === 0) await nextTurn();
    answers.push(answer(entry));
  }
  return Promise.all(answers);
}

async function promise(registry: PartitionRegistry, deleted: DeletedHere, entry: PromiseEntry): Promise<PromiseResult> {
  try {
    checkNotDeleted(entry, deleted.deleteIdOf(entry.topicId));
    if (find(registry, entry) === undefined) {
      const kept = deleted.floorOf(entry);
      // The replica is gone and votes no more; what it knew to be committed counts all the same.
      if (kept !== undefined) return { ...NO_PROMISE, ...pick(kept), error: undefined };
    }
    const actor = actorOf(registry, entry);
    const { epoch } = entry;
    const outcome = await new Promise<PromiseOutcome>((reply) =>
      actor.feed({ kind: 'promise', epoch, nonce: nonceOf(entry), reply }),
    );
    const { logEnd: logEndOffset, configs, ...rest } = outcome;
    return { ...rest, logEndOffset, configs: configs.map(replicaConfigRecord), error: undefined };
  } catch (error) {
    return { ...NO_PROMISE, error: toRpcStatus(asPartitaError(error)) };
  }
}

function pick({ promisedEpoch, configFloor }: KeptFloor): Pick<PromiseResult, 'promisedEpoch' | 'configFloor'> {
  return { promisedEpoch, configFloor };
}

async function lead(registry: PartitionRegistry, entry: LeadEntry): Promise<LeadResult> {
  try {
    const actor = actorOf(registry, entry);
    const { epoch, lastEpoch, logEndOffset: logEnd, unclean, configFloor } = entry;
    const outcome = await new Promise<LeadOutcome>((reply) =>
      actor.feed({ kind: 'lead', epoch, nonce: nonceOf(entry), lastEpoch, logEnd, unclean, configFloor, reply }),
    );
    return { ...outcome, config: replicaConfigRecord(outcome.config), error: undefined };
  } catch (error) {
    return { leading: false, promisedEpoch: 0, config: undefined, error: toRpcStatus(asPartitaError(error)) };
  }
}

/** Whoever elects for a topic that was deleted here has to delete it instead. */
function checkNotDeleted({ topicId }: PromiseEntry, deleteId: string | undefined): void {
  if (deleteId === undefined) return;
  throw new PartitaError('TOPIC_NOT_FOUND', `topic ${topicId} was deleted`, { topic_id: topicId, delete_id: deleteId });
}

/** The very replica, while it can be used. */
function find(registry: PartitionRegistry, entry: PromiseEntry | LeadEntry): PartitionActor | undefined {
  const actor = registry.actor(entry.topicId, entry.partition);
  return actor?.isClosed === false && actor.replicaId === entry.replicaId ? actor : undefined;
}

function actorOf(registry: PartitionRegistry, entry: PromiseEntry | LeadEntry): PartitionActor {
  const { topicId, partition, replicaId, epoch } = entry;
  const actor = find(registry, entry);
  if (actor === undefined) {
    const message = `this broker holds no replica ${replicaId} of partition ${partition} of topic ${topicId}`;
    throw new PartitaError('REPLICA_NOT_FOUND', message, { topic_id: topicId, partition: String(partition) });
  }
  if (epoch < 1) {
    throw new PartitaError('INVALID_REQUEST', `epoch is ${epoch}, but must be at least 1`, {
      field: 'epoch',
      value: String(epoch),
      range: '1..',
    });
  }
  return actor;
}

function nonceOf(entry: PromiseEntry | LeadEntry): string {
  if (entry.nonce.length !== NONCE_BYTES) {
    const length = String(entry.nonce.length);
    throw new PartitaError('INVALID_REQUEST', `nonce has ${length} bytes, but must have ${NONCE_BYTES}`, {
      field: 'nonce',
      value: length,
      range: String(NONCE_BYTES),
    });
  }
  return Buffer.from(entry.nonce).toString('hex');
}
