/** What a consumer is told, and the message that opens its stream. */
import { OffsetLostPolicy } from '@partita/protocol';
import type { ConsumeCredit, ConsumeEvent, ConsumeInitial, ConsumeSubscription, DeliveryForm } from '@partita/protocol';
import type { PartitionName } from './held-partition.ts';
import { offsetSpec, split } from './position.ts';
import type { Position } from './position.ts';

export interface ConsumerOptions {
  readonly group: string;
  /** By name; and, or instead, all whose names fit `topicPattern`. */
  readonly topics?: readonly string[] | undefined;
  /** Regular expression (RE2 syntax) over whole topic names; topics that are made later join in. */
  readonly topicPattern?: string | undefined;
  /**
   * How records come. `batches` (default): as stored, from the group's service; decoded, checked and decompressed here.
   * `records`: decoded by the service, for a member that must spare its CPU. `direct`: from the brokers themselves, one
   * hop less; the process must be able to reach every broker.
   */
  readonly delivery?: 'batches' | 'records' | 'direct' | undefined;
  /** Where to begin where the group has no commit. Default earliest. */
  readonly from?: Position | undefined;
  /** True (default): a record is committed once the next one is asked for. False: only `commit()` commits. */
  readonly autoCommit?: boolean | undefined;
  /**
   * A name kept over restarts: a static member. `close` then commits and does not leave: the partitions wait, until the
   * session time-out, for a member of that name to come back, and nothing is rebalanced.
   */
  readonly instanceId?: string | undefined;
  /** What to do when a committed offset is no longer kept. Default error. */
  readonly offsetLost?: 'error' | 'earliest' | 'latest' | undefined;
  /** Silence after which the member is out. Default 10 s. */
  readonly sessionTimeoutMs?: number | undefined;
  /** How long giving partitions up may take. Default 5 min. */
  readonly rebalanceTimeoutMs?: number | undefined;
  /** Share of the partitions relative to other members, 1 to 1,000. Default 1. */
  readonly capacity?: number | undefined;
  /** Rack or zone of this member. */
  readonly rack?: string | undefined;
  /** How the group shares its partitions out: `sticky` (default), `range`, `uniform`. All its members name the same. */
  readonly assignor?: string | undefined;
  /**
   * Records and bytes sent ahead of the handler: what a consumer keeps in memory, and one batch more. Default 8 MiB; and
   * 2,000 records where they come decoded, else as many as that holds. `direct` counts bytes only.
   */
  readonly bufferRecordCount?: number | undefined;
  readonly bufferBytes?: number | undefined;
  /** Told before the first record of new partitions. */
  readonly onAssigned?: ((partitions: readonly PartitionName[]) => void) | undefined;
  /** Told after the last record of partitions that are given up or lost; giving up waits for it. */
  readonly onRevoked?: ((partitions: readonly PartitionName[]) => void | Promise<void>) | undefined;
  /** Ends the consumer as `close` does. */
  readonly signal?: AbortSignal | undefined;
  /** Told when something happened to a position: lost, reset by an operator, truncated. */
  readonly onEvent?: ((event: ConsumeEvent) => void) | undefined;
}

const OFFSET_LOST = {
  error: OffsetLostPolicy.OFFSET_LOST_POLICY_ERROR,
  earliest: OffsetLostPolicy.OFFSET_LOST_POLICY_EARLIEST,
  latest: OffsetLostPolicy.OFFSET_LOST_POLICY_LATEST,
} as const;

/** Who the member is so far; empty and 0 for a new one. */
export interface MemberName {
  readonly memberId: string;
  readonly memberEpoch: number;
}

/** What a consumer consumes; can be changed while it runs. */
export interface Subscription {
  readonly topics?: readonly string[] | undefined;
  readonly topicPattern?: string | undefined;
}

export function consumeSubscription({ topics, topicPattern }: Subscription): ConsumeSubscription {
  return { topics: [...(topics ?? [])], topicPattern: topicPattern ?? '' };
}

/** How a stream is to deliver. */
export interface DeliveryWish {
  readonly form: DeliveryForm;
  readonly credit: ConsumeCredit;
  /** True = NOT_GROUP_OWNER instead of being passed on. */
  readonly noRelay: boolean;
}

export function consumeInitial(
  options: ConsumerOptions,
  member: MemberName,
  subscription: Subscription,
  { form, credit, noRelay }: DeliveryWish,
): ConsumeInitial {
  return {
    group: options.group,
    ...member,
    instanceId: options.instanceId ?? '',
    subscription: consumeSubscription(subscription),
    credit,
    rebalanceTimeout: options.rebalanceTimeoutMs === undefined ? undefined : split(options.rebalanceTimeoutMs),
    sessionTimeout: options.sessionTimeoutMs === undefined ? undefined : split(options.sessionTimeoutMs),
    startPosition: offsetSpec(options.from ?? 'earliest'),
    offsetLostPolicy: OFFSET_LOST[options.offsetLost ?? 'error'],
    rack: options.rack ?? '',
    capacity: options.capacity ?? 1,
    assignor: options.assignor ?? '',
    deliveryForm: form,
    noRelay,
  };
}
