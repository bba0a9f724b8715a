/** From the files of a replica to its actor. */
import { openPartitionLog } from '@partita/log';
import { recoveredState } from '@partita/replication';
import { logSettings, PartitionActor } from './partition-actor.ts';
import type { ActorOptions } from './partition-actor.ts';
import { durableMeta, knownConfigs } from './peer-messages.ts';
import { logFacts } from './replica-log.ts';
import { ReplicaTraces } from './tracing/replica-traces.ts';

/** Recovers a replica; it is a follower until it is told to lead. */
export async function openActor(options: ActorOptions): Promise<PartitionActor> {
  const { host, topic, partition, dir, cleanShutdown, knownSynced, logStart } = options;
  const { topicId } = topic.config;
  const meta = { value: options.meta };
  const known = knownConfigs(options.meta);
  const suspect = async (): Promise<void> => {
    if (meta.value.suspect) return;
    meta.value = { ...meta.value, suspect: true };
    await host.persist({ topicId, partition }, meta.value);
  };
  const place = () => ({ topic: opened.actor?.topic.config.topic ?? topic.config.topic, partition });
  const traces = host.isTracing ? new ReplicaTraces(host.brokerId, place) : undefined;
  // The log calls back only for what is appended, and nothing is before the actor exists.
  const opened: { actor?: PartitionActor } = {};
  const log = await openPartitionLog({
    device: host.device,
    dir,
    clusterId: host.clusterId,
    topicId,
    partition,
    settings: logSettings(topic, known[0].flush),
    cleanShutdown,
    knownSynced,
    logStart,
    onSuspect: () => suspect(),
    onCut: async (toOffset) => opened.actor?.noteCut(toOffset),
    onSynced: (end) => {
      if (opened.actor !== undefined) host.onDurable(opened.actor, end);
      opened.actor?.feed({ kind: 'synced', end });
      traces?.onSynced(end);
      opened.actor?.wakeSenders();
    },
    watch: traces?.watch,
    onFailed: (error) => {
      opened.actor?.feed({ kind: 'storage-failed', error });
      traces?.close(error);
      host.onStorageFailed(error);
    },
  });
  if (log.suspect !== undefined) await suspect();
  // Lost with the end of the log: what is appended from there on must not count as deleted.
  if (logStart > log.logEnd) await host.noteLogStart({ topicId, partition }, log.logEnd);
  const state = recoveredState({
    self: { brokerId: host.brokerId, directoryId: host.directoryId, replicaId: meta.value.replicaId },
    topicId,
    partition,
    meta: durableMeta(meta.value),
    highWatermark: options.highWatermark,
    ...logFacts(log, known),
  });
  opened.actor = new PartitionActor(options, { log, state, meta, traces });
  return opened.actor;
}
