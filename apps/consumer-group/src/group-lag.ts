/**
 * Where a group stands in its partitions: the committed offset against the end of the log, in records, bytes and age.
 * The leaders are asked, each once for all of its partitions.
 */
import { PartitaError, partitionKey } from '@partita/domain';
import type { TopicPartition } from '@partita/domain';
import type { RouteCache } from '@partita/client';
import { compareText } from '@partita/groups';
import type { Group } from '@partita/groups';
import type { GroupPartition, ListOffsetsResult, OffsetSpec } from '@partita/protocol';
import type { CallContext } from '@partita/rpc/server';
import type { LeaderCalls, PositionEntry } from './leader-calls.ts';
import { durationOf } from './proto-time.ts';

/** What tells whether a topic exists, and its name. */
export interface KnownTopics {
  readonly table: Pick<RouteCache['table'], 'topicById'>;
}

export interface LagServices {
  readonly routes: RouteCache;
  readonly calls: LeaderCalls;
}

/** A leader that does not answer within this shows no lag. */
const LAG_DEADLINE_MS = 5000;
const NOTHING_KNOWN = { lagRecords: 0n, lagBytes: -1n, firstAppendTimeMs: undefined };
const EARLIEST: OffsetSpec = { position: { $case: 'earliest', earliest: true } };

/** A partition to ask about: what the group has of it, against where its log ends. */
export type LagEntry = PositionEntry & { readonly withLag: true };

/** Every partition that is held or has an offset, and whose topic exists. */
export function lagEntries(group: Group, routes: KnownTopics): LagEntry[] {
  const all = new Map(
    [...group.offsets.values(), ...group.held.values()].map(({ partition }) => [partitionKey(partition), partition]),
  );
  const existing = [...all.values()].filter(({ topicId }) => routes.table.topicById(topicId) !== undefined);
  return existing.map((tp) => ({
    ...tp,
    topic: topicNameOf(group, tp, routes),
    position: positionOf(group.offsets.get(partitionKey(tp))?.nextOffset),
    withLag: true,
  }));
}

/** What waits, as a leader answers. Bytes are -1 where it does not say. */
export function lagOf({ dataEndOffset, offset, bytesToEnd, firstAppendTimeMs }: ListOffsetsResult) {
  // What lies below the log start is gone, and control batches are never delivered: neither is waited for.
  const lagRecords = dataEndOffset > offset ? dataEndOffset - offset : 0n;
  return { lagRecords, lagBytes: bytesToEnd ?? -1n, firstAppendTimeMs };
}

/** Where the group stands in all of them. */
export async function groupPartitions(
  group: Group,
  context: CallContext,
  { routes, calls }: LagServices,
): Promise<GroupPartition[]> {
  const entries = lagEntries(group, routes);
  const limits = { deadlineMs: Math.min(LAG_DEADLINE_MS, context.deadlineMs / 2), signal: context.signal };
  const results = await calls.listOffsets(entries, limits);
  const partitions = entries.map((entry, index) => {
    const result = results[index];
    return partitionOf(group, entry, result instanceof PartitaError ? undefined : result);
  });
  return partitions.sort((a, b) => compareText(a.topic, b.topic) || a.partition - b.partition);
}

/** Name of a topic that the group uses; of one that is gone, the name of then. */
export function topicNameOf(group: Group, tp: TopicPartition, routes: KnownTopics): string {
  return routes.table.topicById(tp.topicId)?.topic ?? group.offsets.get(partitionKey(tp))?.topic ?? '';
}

function positionOf(nextOffset: bigint | undefined): OffsetSpec {
  return nextOffset === undefined ? EARLIEST : { position: { $case: 'offset', offset: nextOffset } };
}

/** A partition whose leader does not answer in time shows no lag rather than failing the whole answer. */
function partitionOf(
  group: Group,
  { topic, topicId, partition }: LagEntry,
  log: ListOffsetsResult | undefined,
): GroupPartition {
  const key = partitionKey({ topicId, partition });
  const nextOffset = group.offsets.get(key)?.nextOffset;
  const held = group.held.get(key);
  const { lagRecords, lagBytes, firstAppendTimeMs } = log === undefined ? NOTHING_KNOWN : lagOf(log);
  return {
    topic,
    partition,
    nextOffset,
    highWatermark: log?.highWatermark ?? nextOffset ?? 0n,
    lagRecords,
    lagBytes,
    lagAge:
      firstAppendTimeMs === undefined ? undefined : durationOf(Math.max(0, Date.now() - Number(firstAppendTimeMs))),
    memberId: held?.memberId ?? '',
    assignmentEpoch: held?.assignmentEpoch ?? 0,
  };
}
