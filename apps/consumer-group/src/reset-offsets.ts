/** ResetOffsets: from a position or a shift to offsets, which one command moves, all or none. */
import { PartitaError, partitionKey, REQUEST_PARTITION_COUNT_MAX } from '@partita/domain';
import type { RouteCache } from '@partita/client';
import type { Group } from '@partita/groups';
import type {
  ListOffsetsResult,
  OffsetMove,
  OffsetSpec,
  ResetOffsetsRequest,
  ResetOffsetsResponse,
} from '@partita/protocol';
import type { CallContext } from '@partita/rpc/server';
import { checkStart, invalid } from './consume-initial.ts';
import type { LeaderCalls, PartitionName } from './leader-calls.ts';
import { partitionNotFound } from './member-commits.ts';
import type { ShardOwner } from './shard-owner.ts';
import { checkInLog } from './start-offsets.ts';

export interface ResetServices {
  readonly routes: RouteCache;
  readonly calls: LeaderCalls;
  readonly owner: ShardOwner;
}

const DEADLINE_MS = 5000;
const LATEST: OffsetSpec = { position: { $case: 'latest', latest: true } };
type Target = NonNullable<ResetOffsetsRequest['target']>;

export async function resetOffsets(
  request: ResetOffsetsRequest,
  group: Group,
  context: CallContext,
  { routes, calls, owner }: ResetServices,
): Promise<ResetOffsetsResponse> {
  const target = checkTarget(request.target);
  const names = await partitionsOf(request, routes);
  const position = target.$case === 'position' ? target.position : LATEST;
  const entries = names.map((name) => ({ ...name, position }));
  const limits = { deadlineMs: Math.min(DEADLINE_MS, context.deadlineMs / 2), signal: context.signal };
  const results = await calls.listOffsets(entries, limits);
  const moves = names.map((name, index): OffsetMove => {
    const result = results[index];
    if (result === undefined || result instanceof PartitaError) throw result ?? new Error('a position has no answer');
    const oldOffset = group.offsets.get(partitionKey(name))?.nextOffset;
    return { partition: name.partition, oldOffset, newOffset: newOffset(target, name, result, { group, oldOffset }) };
  });
  if (!request.validateOnly) {
    const { topicId = '', topic = '' } = names[0] ?? {};
    await owner.submit({
      kind: 'reset',
      group: group.id,
      moves: moves.map((move) => ({
        topic,
        partition: { topicId, partition: move.partition },
        nextOffset: move.newOffset,
      })),
      wallMs: Date.now(),
    });
  }
  return { moves };
}

function checkTarget(target: ResetOffsetsRequest['target']): Target {
  if (target === undefined) throw invalid('target', '', 'a position or a shift');
  if (target.$case === 'shift') return target;
  if (target.position.position === undefined) throw invalid('position', '', 'one of its kinds');
  return { $case: 'position', position: checkStart(target.position) };
}

/** The partitions to move, by number, each once. */
async function partitionsOf({ topic, partitions }: ResetOffsetsRequest, routes: RouteCache): Promise<PartitionName[]> {
  if (partitions.length > REQUEST_PARTITION_COUNT_MAX)
    throw invalid('partitions', `${partitions.length} entries`, `at most ${REQUEST_PARTITION_COUNT_MAX} entries`);
  const route = await routes.resolve(topic);
  const count = route.partitions.length;
  const outside = partitions.find((partition) => partition < 0 || partition >= count);
  if (outside !== undefined) throw partitionNotFound(topic, outside, count);
  const wanted = partitions.length === 0 ? route.partitions.map(({ partition }) => partition) : partitions;
  return [...new Set(wanted)].sort((a, b) => a - b).map((partition) => ({ topicId: route.topicId, topic, partition }));
}

function newOffset(
  target: Target,
  name: PartitionName,
  log: ListOffsetsResult,
  { group, oldOffset }: { readonly group: Group; readonly oldOffset: bigint | undefined },
): bigint {
  if (target.$case === 'position') {
    checkInLog(name, target.position, log);
    return log.offset;
  }
  if (oldOffset === undefined) {
    const message = `group "${group.id}" has no offset in partition ${name.partition} of "${name.topic}" to count a shift from; reset that partition to a position`;
    throw new PartitaError('INVALID_REQUEST', message, { field: 'shift', partition: String(name.partition) });
  }
  const wanted = oldOffset + target.shift;
  if (wanted < log.logStartOffset) return log.logStartOffset;
  return wanted > log.highWatermark ? log.highWatermark : wanted;
}
