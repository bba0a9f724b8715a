/** Commits as they come from members and from outside: topic names become ids, and each learns the high watermark it may not pass. */
import { asPartitaError, PartitaError, REQUEST_PARTITION_COUNT_MAX } from '@partita/domain';
import type { RouteCache } from '@partita/client';
import type { CommitRefusal, OffsetCommit as GroupCommit } from '@partita/groups';
import type { CommitFailure, OffsetCommit, OffsetSpec } from '@partita/protocol';
import { toRpcStatus } from '@partita/rpc';
import { invalid } from './consume-initial.ts';
import type { LeaderCalls } from './leader-calls.ts';

/** Commits ready to be decided, and those that cannot be. */
export interface PreparedCommits {
  readonly commits: readonly GroupCommit[];
  readonly failures: readonly CommitFailure[];
}

export interface CommitContext {
  readonly routes: RouteCache;
  readonly calls: LeaderCalls;
  readonly signal: AbortSignal;
  /** High watermark seen of a partition; undefined = none. */
  seen(topic: string, partition: number): bigint | undefined;
  /** Epoch that goes with a commit. */
  epochOf(commit: OffsetCommit): number;
}

const DEADLINE_MS = 5000;
const LATEST: OffsetSpec = { position: { $case: 'latest', latest: true } };

/** Throws INVALID_REQUEST when there are too many. */
export async function prepareCommits(
  offsets: readonly OffsetCommit[],
  context: CommitContext,
): Promise<PreparedCommits> {
  if (offsets.length > REQUEST_PARTITION_COUNT_MAX) {
    throw invalid('offsets', `${offsets.length} entries`, `at most ${REQUEST_PARTITION_COUNT_MAX} entries`);
  }
  const commits: GroupCommit[] = [];
  const failures: CommitFailure[] = [];
  for (const offset of offsets) {
    try {
      commits.push(await prepare(offset, context));
    } catch (thrown) {
      failures.push(failure(offset, asPartitaError(thrown)));
    }
  }
  return { commits, failures };
}

export function commitFailure({ commit, error }: CommitRefusal): CommitFailure {
  return { topic: commit.topic, partition: commit.partition.partition, error: toRpcStatus(error) };
}

function failure({ topic, partition }: OffsetCommit, error: PartitaError): CommitFailure {
  return { topic, partition, error: toRpcStatus(error) };
}

async function prepare(offset: OffsetCommit, context: CommitContext): Promise<GroupCommit> {
  const { topic, partition } = offset;
  const route = context.routes.table.topic(topic) ?? (await context.routes.resolve(topic));
  const { length } = route.partitions;
  if (partition < 0 || partition >= length) throw partitionNotFound(topic, partition, length);
  let highWatermark = context.seen(topic, partition) ?? -1n;
  if (offset.nextOffset > highWatermark) {
    const name = { topicId: route.topicId, topic, partition };
    ({ highWatermark } = await context.calls.listOffset(name, LATEST, {
      deadlineMs: DEADLINE_MS,
      signal: context.signal,
    }));
  }
  return {
    topic,
    partition: { topicId: route.topicId, partition },
    nextOffset: offset.nextOffset,
    recordEpoch: offset.recordEpoch,
    metadata: offset.metadata,
    epoch: context.epochOf(offset),
    highWatermark,
  };
}

export function partitionNotFound(topic: string, partition: number, count: number): PartitaError {
  const metadata = { topic, partition: String(partition), partition_count: String(count) };
  return new PartitaError('PARTITION_NOT_FOUND', `"${topic}" has ${count} partitions, counted from 0`, metadata);
}
