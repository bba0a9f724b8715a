/** Takes a directory that was read into the model: it adds and raises, and only its tombstones remove. */
import { mergeStoredPartition, mergeStoredTopic, mergeTombstone, repeatReports, reviseLeaders } from '@partita/cluster';
import type { BrokerEntry, MetadataSnapshot } from '@partita/metadata-store';
import type { ClusterModel } from './cluster-model.ts';
import { hintedInstance, storedPartition, storedTopic } from './directory-codec.ts';

export function mergeSnapshot(model: ClusterModel, snapshot: MetadataSnapshot): void {
  const { state } = model;
  for (const { topicId, name, deletedMs } of snapshot.tombstones) {
    // The directory does not keep the id of the deletion; the topic's own names it as well.
    model.apply(mergeTombstone(state, { topicId, name, deleteId: topicId, deleteTimeMs: deletedMs }));
  }
  for (const entry of snapshot.topics) {
    const topic = storedTopic(entry);
    if (topic !== undefined) model.apply(mergeStoredTopic(state, topic));
  }
  for (const publication of snapshot.partitions) {
    const topic = state.topicById(publication.topicId);
    if (topic !== undefined) model.apply(mergeStoredPartition(state, storedPartition(publication, topic)));
  }
  for (const entry of snapshot.brokers) mergeBroker(model, entry);
  model.apply(repeatReports(state));
  model.apply(reviseLeaders(state));
  for (const hint of snapshot.groups) {
    const hinted = hintedInstance(hint);
    if (hinted === undefined || state.shards().has(hint.shard)) continue;
    const { instanceId, address } = hinted;
    model.formerAddresses.set(instanceId, address);
    model.apply([{ type: 'shard_assigned', shard: hint.shard, instanceId }]);
  }
}

/** A broker that nobody has heard counts as down, whatever the directory says. */
function mergeBroker(model: ClusterModel, entry: BrokerEntry): void {
  if (model.state.broker(entry.brokerId) !== undefined) return;
  const { brokerId, address, peerAddress, dirUuid, incarnation, rack, sinceMs } = entry;
  if (!/^\d{1,18}$/.test(incarnation)) return;
  model.apply([
    {
      type: 'broker_put',
      broker: {
        brokerId,
        directoryId: dirUuid,
        incarnation: BigInt(incarnation),
        address,
        peerAddress,
        rack,
        version: '',
        status: 'down',
        sinceMs,
      },
    },
  ]);
}
