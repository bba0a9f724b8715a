/** What is asked about a group and of a whole group: describe, committed offsets, commits from outside, deletion. */
import { trace } from '@opentelemetry/api';
import { PartitaError, partitionKey } from '@partita/domain';
import { traceparentOf } from '@partita/client';
import type { RouteCache } from '@partita/client';
import { assignmentOf, compareText, memberEpochOf } from '@partita/groups';
import type { Group, HeldPartition } from '@partita/groups';
import type {
  AssignedPartition,
  CommitOffsetsRequest,
  CommitOffsetsResponse,
  CommittedOffset,
  DeleteGroupResponse,
  DescribeGroupResponse,
  GetCommittedOffsetsRequest,
  GetCommittedOffsetsResponse,
  GroupMember,
  ResetOffsetsRequest,
  ResetOffsetsResponse,
} from '@partita/protocol';
import { isRelayed } from '@partita/rpc/server';
import type { CallContext } from '@partita/rpc/server';
import { inCommitSpan } from './commit-span.ts';
import { groupPartitions, topicNameOf } from './group-lag.ts';
import { summaryOf } from './group-list.ts';
import { checkGroupId, invalid } from './consume-initial.ts';
import type { GroupShards, OwnShard } from './group-shards.ts';
import type { LeaderCalls } from './leader-calls.ts';
import { commitFailure, prepareCommits } from './member-commits.ts';
import { timestampOf } from './proto-time.ts';
import { resetOffsets } from './reset-offsets.ts';

export interface QueryServices {
  readonly shards: GroupShards;
  readonly routes: RouteCache;
  readonly calls: LeaderCalls;
  /** Public address of this instance. */
  readonly address: string;
}

/** How long a call waits for the group's shard to be served. */
const SHARD_WAIT_MS = 5000;
export class GroupQueries {
  readonly #services: QueryServices;

  constructor(services: QueryServices) {
    this.#services = services;
  }

  async describeGroup(id: string, context: CallContext): Promise<DescribeGroupResponse> {
    const { group } = await this.#find(id, context);
    const members = [...group.members.keys()].sort(compareText).map((memberId) => this.#member(group, memberId));
    return {
      summary: summaryOf(group),
      members,
      partitions: await groupPartitions(group, context, this.#services),
      ownerAddress: this.#services.address,
      assignor: group.value?.assignor ?? '',
    };
  }

  async getCommittedOffsets(
    request: GetCommittedOffsetsRequest,
    context: CallContext,
  ): Promise<GetCommittedOffsetsResponse> {
    const { group } = await this.#find(request.group, context);
    const offsets: CommittedOffset[] = [];
    for (const { partition, topic, nextOffset, recordEpoch, metadata, commitTimeMs } of group.offsets.values()) {
      // Offsets of a deleted topic are kept for a while; they are nobody's any more.
      if (this.#services.routes.table.topicById(partition.topicId) === undefined) continue;
      if (request.topics.length > 0 && !request.topics.includes(topic)) continue;
      offsets.push({
        topic,
        partition: partition.partition,
        nextOffset,
        recordEpoch,
        metadata,
        commitTime: timestampOf(commitTimeMs),
      });
    }
    return { offsets: offsets.sort((a, b) => compareText(a.topic, b.topic) || a.partition - b.partition) };
  }

  async commitOffsets(request: CommitOffsetsRequest, context: CallContext): Promise<CommitOffsetsResponse> {
    const { group, memberId, memberEpoch } = request;
    if (request.offsets.length === 0) throw invalid('offsets', '0 entries', '1..10000 entries');
    const { owner, sessions } = await this.#shard(group, context);
    const traceparent = traceparentOf(trace.getActiveSpan());
    return inCommitSpan({ group, partitionCount: request.offsets.length, traceparent }, async (append) => {
      const { commits, failures } = await prepareCommits(request.offsets, {
        ...this.#services,
        signal: context.signal,
        seen: () => undefined,
        epochOf: () => memberEpoch,
      });
      if (memberId !== '') sessions.heard(group, memberId);
      const command = { kind: 'commit', group, memberId, commits, wallMs: Date.now() } as const;
      const { refusals } = await owner.submit(command, append);
      return { failures: [...failures, ...refusals.map(commitFailure)] };
    });
  }

  async resetOffsets(request: ResetOffsetsRequest, context: CallContext): Promise<ResetOffsetsResponse> {
    const { owner, group } = await this.#find(request.group, context);
    return resetOffsets(request, group, context, { ...this.#services, owner });
  }

  async deleteGroup(group: string, context: CallContext): Promise<DeleteGroupResponse> {
    const { owner } = await this.#shard(group, context);
    await owner.submit({ kind: 'delete', group });
    return {};
  }

  async #find(id: string, context: CallContext): Promise<OwnShard & { readonly group: Group }> {
    const shard = await this.#shard(id, context);
    const group = shard.owner.state.get(id);
    if (group?.value !== undefined) return { ...shard, group };
    throw new PartitaError('GROUP_NOT_FOUND', `there is no group "${id}"`, { group: id });
  }

  #shard(group: string, context: CallContext): Promise<OwnShard> {
    checkGroupId(group);
    return this.#services.shards.of(group, Math.min(SHARD_WAIT_MS, context.deadlineMs / 2), isRelayed(context));
  }

  #member(group: Group, memberId: string): GroupMember {
    const member = group.members.get(memberId);
    const held = assignmentOf(group, memberId);
    return {
      memberId,
      instanceId: member?.instanceId ?? '',
      clientId: member?.clientId ?? '',
      peer: member?.peer ?? '',
      memberEpoch: memberEpochOf(group, memberId),
      partitions: this.#assigned(group, held),
      revoking: this.#assigned(
        group,
        held.filter((entry) => entry.revoking),
      ),
      joinTime: timestampOf(member?.joinTimeMs ?? 0n),
      subscription: { topics: [...(member?.topics ?? [])], topicPattern: member?.topicPattern ?? '' },
    };
  }

  #assigned(group: Group, held: readonly HeldPartition[]): AssignedPartition[] {
    return held.map(({ partition: tp, assignmentEpoch }) => ({
      topic: topicNameOf(group, tp, this.#services.routes),
      partition: tp.partition,
      assignmentEpoch,
      startOffset: group.offsets.get(partitionKey(tp))?.nextOffset ?? 0n,
    }));
  }
}
