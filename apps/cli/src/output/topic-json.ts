/** A topic as the command line prints it. */
import { PartitionState, SettingSource, TopicState } from '@partita/protocol';
import type { Topic } from '@partita/protocol';
import { enumWord, timeText } from './json.ts';

export function describe(topic: Topic) {
  return {
    name: topic.name,
    topicId: topic.topicId,
    state: stateOf(topic),
    partitionCount: topic.partitionCount,
    replicationFactor: topic.replicationFactor,
    createTime: timeText(topic.createTime),
    etag: topic.etag,
    settings: Object.fromEntries(
      topic.effectiveSettings.map(({ name, value, source }) => [name, { value, source: sourceOf(source) }]),
    ),
    partitions: topic.partitions.map((partition) => ({
      partition: partition.partition,
      leader: partition.leaderId,
      leaderEpoch: partition.leaderEpoch,
      replicas: partition.replicas.map((replica) => replica.brokerId),
      inSync: partition.inSyncIds,
      state: enumWord(PartitionState, 'PARTITION_STATE_', partition.state),
      hashMin: partition.hashMin,
      hashMax: partition.hashMax,
    })),
  };
}

export function stateOf(topic: Topic): string {
  return enumWord(TopicState, 'TOPIC_STATE_', topic.state);
}

export function sourceOf(source: SettingSource): string {
  return enumWord(SettingSource, 'SETTING_SOURCE_', source);
}
