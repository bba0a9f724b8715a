/** ElectionService: promises and orders to lead, many partitions in one call. The rules are in @partita/replication. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  asPartitaError,
  LEADER_LEVEL_MS_MAX,
  LEADER_PAUSE_MS_MAX,
  PartitaError,
  PEER_CALL_ENTRY_COUNT_MAX,
} from '@partita/domain';
import type { Clock, Timers } from '@partita/domain';
import { ElectionServiceService } from '@partita/protocol';
import type { LeadEntry, LeadResult, PromiseEntry, PromiseResult } from '@partita/protocol';
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

/** Entries taken in before other requests get a turn; each costs some 50 µs. */
const ENTRIES_PER_TURN_COUNT = 250;

export interface ElectionOptions {
  readonly registry: PartitionRegistry;
  readonly clusterId: string;
  /** Id of the deletion of a topic that was deleted here; undefined when it was not. */
  readonly deleteIdOf: (topicId: string) => string | undefined;
  readonly clock: Clock;
  readonly timers: Timers;
  /** Told of a partition that pauses, so that the pause ends. */
  readonly onPaused: (actor: PartitionActor) => void;
}

/** All entries of a call are fed before any is awaited, so that few fsyncs of the journal serve them all. */
export function electionMethods(options: ElectionOptions): Implementation<typeof ElectionServiceService> {
  const { registry, clusterId, deleteIdOf } = options;
  return implement(ElectionServiceService, {
    promiseBatch: unary(async (request) => {
      checkCluster(clusterId, request.clusterId);
      const attributes = { 'partita.partition_count': request.entries.length };
      return inCalledPart('elect', 'grant promises', attributes, async (part) => {
        const results = await inTurns(request.entries, (entry) => promise(registry, deleteIdOf, entry));
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

async function promise(
  registry: PartitionRegistry,
  deleteIdOf: (topicId: string) => string | undefined,
  entry: PromiseEntry,
): Promise<PromiseResult> {
  try {
    checkNotDeleted(entry, deleteIdOf(entry.topicId));
    const actor = actorOf(registry, entry);
    const { epoch } = entry;
    const outcome = await new Promise<PromiseOutcome>((reply) =>
      actor.feed({ kind: 'promise', epoch, nonce: nonceOf(entry), reply }),
    );
    const { logEnd: logEndOffset, configs, ...rest } = outcome;
    return { ...rest, logEndOffset, configs: configs.map(replicaConfigRecord), error: undefined };
  } catch (error) {
    return {
      granted: false,
      promisedEpoch: 0,
      lastEpoch: 0,
      logEndOffset: 0n,
      highWatermark: 0n,
      suspect: false,
      configs: [],
      configFloor: 0,
      error: toRpcStatus(asPartitaError(error)),
    };
  }
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

function actorOf(registry: PartitionRegistry, entry: PromiseEntry | LeadEntry): PartitionActor {
  const { topicId, partition, replicaId, epoch } = entry;
  const actor = registry.actor(topicId, partition);
  if (actor === undefined || actor.isClosed || actor.replicaId !== replicaId) {
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
