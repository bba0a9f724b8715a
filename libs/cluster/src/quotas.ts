/** Quotas of the cluster: part of its settings, so that they are kept and spread as those are. */
import {
  CLIENT_ID_BYTES_MAX,
  isInternalTopic,
  isServiceClientId,
  PartitaError,
  QUOTA_BYTES_PER_SECOND_MIN,
  QUOTA_COUNT_MAX,
  topicNameFault,
} from '@partita/domain';
import type { Quota } from '@partita/domain';
import { changeClusterSettings } from './cluster-settings.ts';
import type { ClusterSettings } from './cluster-settings.ts';
import type { ClusterState } from './cluster-state.ts';
import type { Decision } from './records.ts';

/** Text that metadata can carry, and so a client id. */
const PRINTABLE_ASCII = /^[ -~]*$/;

/**
 * The settings with this quota in place of the one for the same client and topic; without any rate that one is removed. No
 * records when all is so already. INVALID_SETTING, INVALID_TOPIC_NAME, LIMIT_EXCEEDED.
 */
export function changeQuota(state: ClusterState, quota: Quota): Decision<ClusterSettings> {
  checkQuota(quota);
  const others = state.settings().quotas.filter((known) => quotaKey(known) !== quotaKey(quota));
  const isRemoved = quota.produceBytesPerSecond === undefined && quota.consumeBytesPerSecond === undefined;
  if (!isRemoved && others.length >= QUOTA_COUNT_MAX) {
    throw new PartitaError('LIMIT_EXCEEDED', `a cluster has at most ${QUOTA_COUNT_MAX} quotas; remove one first`, {
      limit: 'quotas',
      value: String(QUOTA_COUNT_MAX),
    });
  }
  const quotas = isRemoved ? others : [...others, quota].sort(byKey);
  return changeClusterSettings(state, { quotas });
}

/** Names whom a quota binds: by topic, then by client id, in the order of lists. */
export function quotaKey({ clientId, topic }: Pick<Quota, 'clientId' | 'topic'>): string {
  return `${topic}\0${clientId}`;
}

function byKey(a: Quota, b: Quota): number {
  return quotaKey(a) < quotaKey(b) ? -1 : 1;
}

function checkQuota({ clientId, topic, produceBytesPerSecond, consumeBytesPerSecond }: Quota): void {
  checkTopic(topic);
  checkClientId(clientId);
  checkRate('produce_bytes_per_second', produceBytesPerSecond);
  checkRate('consume_bytes_per_second', consumeBytesPerSecond);
}

function checkTopic(topic: string): void {
  const fault = topic === '' ? undefined : topicNameFault(topic);
  if (fault !== undefined) throw new PartitaError('INVALID_TOPIC_NAME', `"${topic}": ${fault}`, { topic });
  if (isInternalTopic(topic)) throw invalid('topic', topic, "is Partita's own and has no quota");
}

function checkClientId(clientId: string): void {
  if (clientId.length > CLIENT_ID_BYTES_MAX || !PRINTABLE_ASCII.test(clientId)) {
    throw invalid('client_id', clientId, `is not 0..${CLIENT_ID_BYTES_MAX} printable ASCII characters`);
  }
  if (isServiceClientId(clientId)) throw invalid('client_id', clientId, 'is that of a service, which has no quota');
}

function checkRate(setting: string, rate: number | undefined): void {
  if (rate === undefined || (Number.isSafeInteger(rate) && rate >= QUOTA_BYTES_PER_SECOND_MIN)) return;
  throw invalid(setting, String(rate), `is not at least ${QUOTA_BYTES_PER_SECOND_MIN} and below 2^53`);
}

function invalid(setting: string, value: string, why: string): PartitaError {
  return new PartitaError('INVALID_SETTING', `${setting} "${value}" ${why}`, { setting, value });
}
