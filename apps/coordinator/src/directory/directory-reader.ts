/** Takes a directory that was read into the model: it adds and raises, and only its tombstones remove. */
import {
  mergeClusterSettings,
  mergeStoredPartition,
  mergeStoredTopic,
  mergeTombstone,
  repeatReports,
  reviseLeaders,
} from '@partita/cluster';
import type { BrokerEntry, MetadataSnapshot } from '@partita/metadata-store';
import { storedSettings } from './cluster-settings-codec.ts';
import type { ClusterModel } from '../cluster-model.ts';
import { storedReassignment } from './reassignment-codec.ts';
import { hintedInstance, storedPartition, storedTopic } from './directory-codec.ts';

export function mergeSnapshot(model: ClusterModel, snapshot: MetadataSnapshot): void {
  const { state } = model;
  // First: a removed broker is not taken from the directory again.
  const settings = snapshot.settings === undefined ? undefined : storedSettings(snapshot.settings);
  if (settings !== undefined) model.apply(mergeClusterSettings(state, settings));
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
  mergeReassignments(model, snapshot);
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

/**
 * A directory that has lost nothing knows every reassignment there is; one that has may lack some, and those in memory stay.
 * Only who does not decide yet reads a directory, so nothing of this is newer than it.
 */
function mergeReassignments(model: ClusterModel, { moves, rolledBack, faults }: MetadataSnapshot): void {
  const stored = moves.flatMap((entry) => storedReassignment(entry) ?? []);
  model.apply(stored.map((reassignment) => ({ type: 'reassignment_put', reassignment })));
  if (rolledBack || faults.length > 0) return;
  const ids = new Set(stored.map(({ reassignmentId }) => reassignmentId));
  const gone = [...model.state.reassignments.all()].filter(({ reassignmentId }) => !ids.has(reassignmentId));
  model.apply(gone.map(({ reassignmentId }) => ({ type: 'reassignment_removed', reassignmentId })));
}

/** A broker that nobody has heard counts as down, whatever the directory says. */
function mergeBroker(model: ClusterModel, entry: BrokerEntry): void {
  if (model.state.broker(entry.brokerId) !== undefined) return;
  const { brokerId, address, peerAddress, dirUuid, incarnation, rack, sinceMs } = entry;
  if (!/^\d{1,18}$/.test(incarnation)) return;
  if (model.state.settings().removedBrokerIds.includes(brokerId)) return;
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
