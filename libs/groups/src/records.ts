/**
 * What the log of a group shard holds, as values. The state of all groups is the fold of these records: a record without
 * `value` deletes its key, and only the last record of a key counts (the topic is compacted). Their bytes are the
 * business of whoever writes them (apps/consumer-group, record-codec.ts).
 */
import { partitionKey } from '@partita/domain';
import type { TopicPartition } from '@partita/domain';

/** The group itself. */
export interface GroupValue {
  /** Grows with each change of members, subscriptions or partitions; the first is GROUP_EPOCH_FIRST. */
  readonly groupEpoch: number;
  /** Assignor in use: the one that most members name. */
  readonly assignor: string;
  readonly createTimeMs: bigint;
  /** Wall clock at which the last member went; 0 = it has members (or an old record does not tell). */
  readonly emptySinceMs: bigint;
}

/** A member. Written when it joins, changes its subscription, or begins to give partitions up. */
export interface MemberValue {
  /** Epoch that it had reached at the time of writing; see memberEpochOf. */
  readonly memberEpoch: number;
  /** Name that a static member keeps over restarts; empty = dynamic. */
  readonly instanceId: string;
  readonly clientId: string;
  readonly peer: string;
  /** Names of topics, sorted, without repetition. */
  readonly topics: readonly string[];
  /** Regular expression over names of topics, those to come included; empty = none. */
  readonly topicPattern: string;
  readonly sessionTimeoutMs: number;
  readonly rebalanceTimeoutMs: number;
  readonly rack: string;
  /** Share of partitions relative to other members, at least 1. */
  readonly capacity: number;
  readonly joinTimeMs: bigint;
  /** Assignor that it names; empty = any. */
  readonly assignor: string;
}

/** Who holds a partition. A free partition has no such record. */
export interface AssignmentValue {
  readonly memberId: string;
  /** Group epoch at which the member got it, or its offset was reset. Invariant: grows with each new holder. */
  readonly assignmentEpoch: number;
  /** True = the holder has been told to give it up. Invariant: never goes back to false for the same assignment epoch. */
  readonly revoking: boolean;
  /** Who gets it next; empty unless `revoking`, and empty then when nobody wants it. */
  readonly targetMemberId: string;
}

/** A committed offset. */
export interface OffsetValue {
  /** Offset of the next record to deliver. Invariant: never falls but by an operator's reset. */
  readonly nextOffset: bigint;
  /** Leader epoch of the last processed record; 0 = unknown. */
  readonly recordEpoch: number;
  readonly metadata: string;
  readonly commitTimeMs: bigint;
  /** Name of the topic, for people. */
  readonly topic: string;
  /** Group epoch of the last reset by an operator; 0 = never. */
  readonly resetEpoch: number;
}

export type GroupRecord =
  | { readonly kind: 'group'; readonly group: string; readonly value: GroupValue | undefined }
  | {
      readonly kind: 'member';
      readonly group: string;
      readonly memberId: string;
      readonly value: MemberValue | undefined;
    }
  | {
      readonly kind: 'assignment';
      readonly group: string;
      readonly partition: TopicPartition;
      readonly value: AssignmentValue | undefined;
    }
  | {
      readonly kind: 'offset';
      readonly group: string;
      readonly partition: TopicPartition;
      readonly value: OffsetValue | undefined;
    };

/** Epoch of a new group. Below it: 0 = joins, 1 = never used, so that no epoch of a member looks like "new". */
export const GROUP_EPOCH_FIRST = 2;

/** One text per key: of records with the same text only the last counts. */
export function recordKey(record: GroupRecord): string {
  switch (record.kind) {
    case 'group':
      return `group/${record.group}`;
    case 'member':
      return `member/${record.group}/${record.memberId}`;
    case 'assignment':
    case 'offset':
      return `${record.kind}/${record.group}/${partitionKey(record.partition)}`;
  }
}
