/** The first message of a member, checked: every field in its range, every default filled in. */
import { GROUP_ID_CHARS_MAX, PartitaError, SUBSCRIPTION_TOPIC_COUNT_MAX, topicNameFault } from '@partita/domain';
import { DeliveryForm, OffsetLostPolicy } from '@partita/protocol';
import type { ConsumeInitial, ConsumeSubscription, Duration, OffsetSpec } from '@partita/protocol';
import { checkEnum } from '@partita/rpc';
import { durationMs } from './proto-time.ts';
import { checkPattern } from './topic-patterns.ts';

/** How a member wants to join and consume. */
export interface JoinRequest {
  readonly group: string;
  /** Empty = new. */
  readonly memberId: string;
  readonly memberEpoch: number;
  readonly instanceId: string;
  readonly topics: readonly string[];
  /** Regular expression over whole names of topics; empty = none. */
  readonly topicPattern: string;
  readonly sessionTimeoutMs: number;
  readonly rebalanceTimeoutMs: number;
  readonly rack: string;
  readonly capacity: number;
  readonly assignor: string;
  readonly startPosition: OffsetSpec;
  /** Where to go on when an offset is gone; undefined = not at all. */
  readonly lossPosition: OffsetSpec | undefined;
  readonly form: DeliveryForm;
}

const SECOND_MS = 1000;
const SESSION_MS = { min: SECOND_MS, max: 300 * SECOND_MS, default: 10 * SECOND_MS };
const REBALANCE_MS = { min: SECOND_MS, max: 3600 * SECOND_MS, default: 300 * SECOND_MS };
const CAPACITY_MAX = 1000;
/** Longest instance id, rack and member id. */
const NAME_CHARS_MAX = 255;
const LOSS_POLICIES = [
  OffsetLostPolicy.OFFSET_LOST_POLICY_UNSPECIFIED,
  OffsetLostPolicy.OFFSET_LOST_POLICY_ERROR,
  OffsetLostPolicy.OFFSET_LOST_POLICY_EARLIEST,
  OffsetLostPolicy.OFFSET_LOST_POLICY_LATEST,
  OffsetLostPolicy.OFFSET_LOST_POLICY_TIME,
  OffsetLostPolicy.OFFSET_LOST_POLICY_DURATION,
];
const GROUP_ID = /^[A-Za-z0-9._-]+$/;

export function checkInitial(initial: ConsumeInitial): JoinRequest {
  checkGroupId(initial.group);
  checkName('member_id', initial.memberId);
  checkName('instance_id', initial.instanceId);
  checkName('rack', initial.rack);
  if (initial.memberEpoch < 0) throw invalid('member_epoch', String(initial.memberEpoch), '0..2147483647');
  const capacity = initial.capacity === 0 ? 1 : initial.capacity;
  if (capacity < 1 || capacity > CAPACITY_MAX) throw invalid('capacity', String(capacity), `1..${CAPACITY_MAX}`);
  return {
    group: initial.group,
    memberId: initial.memberId,
    memberEpoch: initial.memberEpoch,
    instanceId: initial.instanceId,
    ...checkSubscription(initial.subscription),
    sessionTimeoutMs: checkDuration('session_timeout', initial.sessionTimeout, SESSION_MS),
    rebalanceTimeoutMs: checkDuration('rebalance_timeout', initial.rebalanceTimeout, REBALANCE_MS),
    rack: initial.rack,
    capacity,
    assignor: initial.assignor,
    startPosition: checkStart(initial.startPosition),
    lossPosition: lossPositionOf(initial),
    form: formOf(initial.deliveryForm),
  };
}

export function checkGroupId(group: string): void {
  if (group.length > 0 && group.length <= GROUP_ID_CHARS_MAX && GROUP_ID.test(group)) return;
  throw invalid('group', group.slice(0, NAME_CHARS_MAX), `1 to ${GROUP_ID_CHARS_MAX} characters of A-Z a-z 0-9 . _ -`);
}

/** What a member consumes: names, a pattern, or both. */
export function checkSubscription(subscription: ConsumeSubscription | undefined): {
  readonly topics: readonly string[];
  readonly topicPattern: string;
} {
  const topics = subscription?.topics ?? [];
  const topicPattern = checkPattern(subscription?.topicPattern ?? '');
  const countMin = topicPattern === '' ? 1 : 0;
  if (topics.length < countMin || topics.length > SUBSCRIPTION_TOPIC_COUNT_MAX) {
    const range = `${countMin}..${SUBSCRIPTION_TOPIC_COUNT_MAX} names, or a topic_pattern`;
    throw invalid('subscription.topics', `${topics.length} names`, range);
  }
  for (const topic of topics) {
    const fault = topicNameFault(topic);
    if (fault !== undefined) throw new PartitaError('INVALID_TOPIC_NAME', fault, { topic });
  }
  return { topics, topicPattern };
}

/** A field that is not in its range. */
export function invalid(field: string, value: string, range: string): PartitaError {
  return new PartitaError('INVALID_REQUEST', `${field} is "${value}"; it has to be ${range}`, { field, value, range });
}

function checkName(field: string, value: string): void {
  if (value.length > NAME_CHARS_MAX)
    throw invalid(field, `${value.length} characters`, `0..${NAME_CHARS_MAX} characters`);
}

function checkDuration(field: string, duration: Duration | undefined, range: typeof SESSION_MS): number {
  if (duration === undefined) return range.default;
  const ms = durationMs(duration);
  if (ms < range.min || ms > range.max) throw invalid(field, `${ms} ms`, `${range.min}..${range.max} ms`);
  return Math.floor(ms);
}

/** The position, with a default of earliest. */
export function checkStart(position: OffsetSpec | undefined): OffsetSpec {
  const at = position?.position;
  if (at === undefined) return { position: { $case: 'earliest', earliest: true } };
  if (at.$case === 'offset' && at.offset < 0n) throw invalid('position.offset', String(at.offset), '0..2^63-1');
  if (at.$case === 'ago' && durationMs(at.ago) < 0)
    throw invalid('position.ago', `${durationMs(at.ago)} ms`, 'at least 0');
  return { position: at };
}

function lossPositionOf({ offsetLostPolicy, offsetLostPosition }: ConsumeInitial): OffsetSpec | undefined {
  const field = 'offset_lost_policy';
  const at = checkStart(offsetLostPosition);
  switch (checkEnum(offsetLostPolicy, LOSS_POLICIES, field)) {
    case OffsetLostPolicy.OFFSET_LOST_POLICY_EARLIEST:
      return { position: { $case: 'earliest', earliest: true } };
    case OffsetLostPolicy.OFFSET_LOST_POLICY_LATEST:
      return { position: { $case: 'latest', latest: true } };
    case OffsetLostPolicy.OFFSET_LOST_POLICY_TIME:
      if (at.position?.$case === 'time') return at;
      throw invalid('offset_lost_position', at.position?.$case ?? '', '`time` with offset_lost_policy TIME');
    case OffsetLostPolicy.OFFSET_LOST_POLICY_DURATION:
      if (at.position?.$case === 'ago') return at;
      throw invalid('offset_lost_position', at.position?.$case ?? '', '`ago` with offset_lost_policy DURATION');
    default:
      return undefined;
  }
}

function formOf(value: DeliveryForm): DeliveryForm {
  const form = checkEnum(
    value,
    [
      DeliveryForm.DELIVERY_FORM_UNSPECIFIED,
      DeliveryForm.DELIVERY_FORM_RECORDS,
      DeliveryForm.DELIVERY_FORM_BATCHES,
      DeliveryForm.DELIVERY_FORM_DIRECT,
    ],
    'delivery_form',
  );
  return form === DeliveryForm.DELIVERY_FORM_UNSPECIFIED ? DeliveryForm.DELIVERY_FORM_RECORDS : form;
}
