/** What a consumer is told, and the message that opens its stream. */
import { OffsetLostPolicy, DeliveryForm } from '@partita/protocol';
import type { ConsumeCredit, ConsumeEvent, ConsumeInitial } from '@partita/protocol';
import type { PartitionName } from './held-partition.ts';
import { offsetSpec, split } from './position.ts';
import type { Position } from './position.ts';

export interface ConsumerOptions {
  readonly group: string;
  readonly topics: readonly string[];
  /** Where to begin where the group has no commit. Default earliest. */
  readonly from?: Position | undefined;
  /** True (default): a record is committed once the next one is asked for. False: only `commit()` commits. */
  readonly autoCommit?: boolean | undefined;
  /** A name kept over restarts: the member comes back to its partitions. */
  readonly instanceId?: string | undefined;
  /** What to do when a committed offset is no longer kept. Default error. */
  readonly offsetLost?: 'error' | 'earliest' | 'latest' | undefined;
  /** Silence after which the member is out. Default 10 s. */
  readonly sessionTimeoutMs?: number | undefined;
  /** How long giving partitions up may take. Default 5 min. */
  readonly rebalanceTimeoutMs?: number | undefined;
  /** Records and bytes sent ahead of the handler. Default 2,000 and 8 MiB. */
  readonly bufferRecordCount?: number | undefined;
  readonly bufferBytes?: number | undefined;
  /** Told before the first record of new partitions. */
  readonly onAssigned?: ((partitions: readonly PartitionName[]) => void) | undefined;
  /** Told after the last record of partitions that are given up or lost; giving up waits for it. */
  readonly onRevoked?: ((partitions: readonly PartitionName[]) => void | Promise<void>) | undefined;
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

export function consumeInitial(
  options: ConsumerOptions,
  member: MemberName,
  credit: ConsumeCredit,
  noRelay: boolean,
): ConsumeInitial {
  return {
    group: options.group,
    ...member,
    instanceId: options.instanceId ?? '',
    subscription: { topics: [...options.topics], topicPattern: '' },
    credit,
    rebalanceTimeout: options.rebalanceTimeoutMs === undefined ? undefined : split(options.rebalanceTimeoutMs),
    sessionTimeout: options.sessionTimeoutMs === undefined ? undefined : split(options.sessionTimeoutMs),
    startPosition: offsetSpec(options.from ?? 'earliest'),
    offsetLostPolicy: OFFSET_LOST[options.offsetLost ?? 'error'],
    rack: '',
    capacity: 1,
    assignor: '',
    deliveryForm: DeliveryForm.DELIVERY_FORM_RECORDS,
    noRelay,
  };
}
