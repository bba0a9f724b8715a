/** What becomes of a topic whose creation is not complete, or was cut off. */
import type { ClusterState, ClusterTopic } from '../cluster-state.ts';
import { liveReplica } from '../partition-status.ts';

export type CreationFate = 'complete' | 'wait' | 'abandon';

/** True = as far as is known here, nobody was told yet that the topic is there. */
export function isUnfinished(topic: ClusterTopic | undefined): boolean {
  return topic?.life === 'creating' || topic?.life === 'found';
}

/**
 * `complete`: all replicas are made, or a partition has had an epoch, so that somebody may have written. From there on leaders
 * are elected and the topic is never given up. `abandon`: some replica was never made, on a broker that answers. `wait`: its
 * broker does not answer.
 */
export function creationFate(state: ClusterState, topic: ClusterTopic): CreationFate {
  if (topic.partitions.some(({ epochSeen, epoch }) => epochSeen > 0 || epoch > 0)) return 'complete';
  const { topicId } = topic.definition;
  const whole = topic.partitions.every(({ partition, config }) =>
    config?.replicas.every((identity) => liveReplica(state, topicId, partition, identity) !== undefined),
  );
  if (whole) return 'complete';
  // Nobody remembers its creation, so its replicas may be elsewhere by now, and have epochs: all brokers have their say.
  if (topic.life === 'found') return state.missingBrokerIds().length > 0 ? 'wait' : 'abandon';
  const unanswered = topic.partitions.some(
    ({ config }) =>
      config?.replicas.some(({ brokerId }) => (state.broker(brokerId)?.facts.status ?? 'down') === 'down') ??
      state.missingBrokerIds().length > 0,
  );
  return unanswered ? 'wait' : 'abandon';
}
