/** Consumer groups as operators see them: list, describe, offsets, deletion. Any instance answers for every group. */
import { PAGE_SIZE_MAX } from '@partita/domain';
import { GroupServiceService } from '@partita/protocol';
import type { CommittedOffset, DescribeGroupResponse, GroupSummary, OffsetCommit, OffsetMove } from '@partita/protocol';
import { fromRpcStatus } from '@partita/rpc';
import { clientError } from './client-error.ts';
import { offsetSpec } from './position.ts';
import type { Position } from './position.ts';
import type { ServiceCallOptions, ServiceCalls } from './service-calls.ts';

/** Where a group's offsets go. */
export interface OffsetReset {
  readonly topic: string;
  /** Default: all of the topic. */
  readonly partitions?: readonly number[] | undefined;
  /** A position, or `{ shift }`: a number of offsets from the committed one, which stops at the ends of the log. */
  readonly to: Position | { readonly shift: bigint };
  /** True: tells what would be and moves nothing. */
  readonly validateOnly?: boolean | undefined;
}

export class GroupAdmin {
  readonly #calls: ServiceCalls;

  constructor(calls: ServiceCalls) {
    this.#calls = calls;
  }

  /** Groups by id, page by page. */
  async *listGroups(): AsyncGenerator<GroupSummary, void, undefined> {
    for (let pageToken = ''; ;) {
      const request = { pageSize: PAGE_SIZE_MAX, pageToken, shards: [] };
      const page = await this.#calls.call('consumer-group', GroupServiceService.listGroups, request);
      yield* page.groups;
      pageToken = page.nextPageToken;
      if (pageToken === '') return;
    }
  }

  /** Members, assignment, offsets and lag. Rejects with GROUP_NOT_FOUND. */
  describeGroup(group: string, options?: ServiceCallOptions): Promise<DescribeGroupResponse> {
    return this.#calls.call('consumer-group', GroupServiceService.describeGroup, { group }, options);
  }

  /** Deletes a group without members, with its offsets. */
  async deleteGroup(group: string, options?: ServiceCallOptions): Promise<void> {
    await this.#calls.call('consumer-group', GroupServiceService.deleteGroup, { group }, options);
  }

  /** What a group has committed; all topics unless named. */
  async committedOffsets(
    group: string,
    topics: readonly string[] = [],
    options?: ServiceCallOptions,
  ): Promise<CommittedOffset[]> {
    const request = { group, topics: [...topics] };
    const answer = await this.#calls.call('consumer-group', GroupServiceService.getCommittedOffsets, request, options);
    return answer.offsets;
  }

  /** Sets offsets of a group without members. Rejects with the first partition's refusal. */
  async commitOffsets(
    group: string,
    offsets: readonly { readonly topic: string; readonly partition: number; readonly nextOffset: bigint }[],
    options?: ServiceCallOptions,
  ): Promise<void> {
    const entries: OffsetCommit[] = offsets.map((offset) => ({
      ...offset,
      recordEpoch: 0,
      metadata: '',
      assignmentEpoch: 0,
    }));
    const request = { group, memberId: '', memberEpoch: 0, offsets: entries };
    const answer = await this.#calls.call('consumer-group', GroupServiceService.commitOffsets, request, options);
    const failed = answer.failures[0];
    if (failed?.error !== undefined) throw clientError(fromRpcStatus(failed.error));
  }

  /**
   * Moves committed offsets, also while members run; they begin again there. Answers where each was and is. Rejects with
   * GROUP_NOT_FOUND, TOPIC_NOT_FOUND, PARTITION_NOT_FOUND, OFFSET_OUT_OF_RANGE; with OUTCOME_UNKNOWN a shift may have
   * happened, and a repeat would shift again.
   */
  async resetOffsets(group: string, reset: OffsetReset, options?: ServiceCallOptions): Promise<OffsetMove[]> {
    const { topic, partitions = [], to, validateOnly = false } = reset;
    const target = isShift(to)
      ? { $case: 'shift' as const, shift: to.shift }
      : { $case: 'position' as const, position: offsetSpec(to) };
    const request = { group, topic, partitions: [...partitions], target, validateOnly };
    const answer = await this.#calls.call('consumer-group', GroupServiceService.resetOffsets, request, options);
    return answer.moves;
  }
}

function isShift(to: OffsetReset['to']): to is { readonly shift: bigint } {
  return typeof to === 'object' && 'shift' in to;
}
