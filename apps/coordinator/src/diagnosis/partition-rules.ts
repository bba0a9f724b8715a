/** What is wrong with partitions and topics. */
import { liveReplica, partitionStatus, settingsInForce } from '@partita/cluster';
import type { ClusterPartition, ClusterState, ClusterTopic, ReplicaConfig } from '@partita/cluster';
import { counted } from './finding.ts';
import type { ClusterSight, Found, Rule } from './finding.ts';

interface Place {
  readonly sight: ClusterSight;
  readonly topic: ClusterTopic;
  readonly known: ClusterPartition;
  readonly config: ReplicaConfig;
  /** `topic/partition`. */
  readonly subject: string;
}

/** A rule about each partition whose replica set is known. */
function each(rule: (place: Place) => Found | undefined): Rule {
  return (sight) =>
    activeTopics(sight.state).flatMap((topic) =>
      topic.partitions.flatMap((known) => {
        const { config } = known;
        const subject = `${topic.name}/${known.partition}`;
        return (config === undefined ? undefined : rule({ sight, topic, known, config, subject })) ?? [];
      }),
    );
}

function activeTopics(state: ClusterState): ClusterTopic[] {
  return [...state.topics()].filter(({ life }) => life === 'active');
}

export const withoutLeader: Rule = each(({ sight: { state }, topic, known, config, subject }) => {
  const { topicId } = topic.definition;
  const status = partitionStatus(state, topicId, known);
  if (status === 'electing') {
    const message = 'has no leader at the moment and is electing one: it takes no records and delivers none';
    return { severity: 'error', code: 'partition-electing', subject, message, advice: '' };
  }
  if (status !== 'offline') return undefined;
  const silent = config.replicas.filter((replica) => liveReplica(state, topicId, known.partition, replica) === undefined);
  const ids = silent.map(({ brokerId }) => brokerId).join(', ');
  const suspects = config.replicas.length - silent.length;
  return {
    severity: 'error',
    code: 'partition-offline',
    subject,
    message: `has no leader and cannot elect one: ${ids === '' ? `its ${counted(suspects, 'replica')} are suspect` : `the replicas on broker ${ids} do not answer`}`,
    advice:
      ids === ''
        ? `partita partition recover ${topic.name} ${known.partition} takes the best log of all; acknowledged records may be missing from it`
        : `Start broker ${ids}. If it is gone for good: partita partition force-leader ${topic.name} ${known.partition} --broker ID, which may lose records`,
  };
});

export const belowMinInSync: Rule = each(({ known, config, topic, subject }) => {
  const needed = config.minInSyncReplicas;
  if (!known.live || known.inSync.length >= needed) return undefined;
  return {
    severity: 'error',
    code: 'partition-below-min-in-sync',
    subject,
    message: `has ${counted(known.inSync.length, 'replica')} in sync and needs ${needed}: records are refused`,
    advice: `See which are missing: partita cluster describe --under-replicated, topic ${topic.name}; start their brokers`,
  };
});

export const underReplicated: Rule = each(({ known, config, subject }) => {
  const missing = config.replicas.filter(({ brokerId }) => !known.inSync.includes(brokerId));
  if (!known.live || missing.length === 0 || known.inSync.length < config.minInSyncReplicas) return undefined;
  const ids = missing.map(({ brokerId }) => brokerId).join(', ');
  return {
    severity: 'warning',
    code: 'partition-under-replicated',
    subject,
    message: `has ${known.inSync.length} of ${counted(config.replicas.length, 'replica')} in sync; broker ${ids} is behind or away`,
    advice: `A replica that catches up comes in sync by itself; if broker ${ids} stays away, start it or replace it: partita broker drain ID`,
  };
});

export const fewerReplicasThanWanted: Rule = each(({ topic, config, subject }) => {
  const { replicationFactor } = topic.definition;
  if (config.replicas.length >= replicationFactor) return undefined;
  return {
    severity: 'warning',
    code: 'partition-short-of-replicas',
    subject,
    message: `has ${counted(config.replicas.length, 'replica')}, and its topic wants ${replicationFactor}`,
    advice: 'Replicas are added by themselves as soon as enough brokers are up: see partita broker list',
  };
});

export const lossy: Rule = each(({ known, topic, subject }) => {
  if (!known.live || !known.lossy) return undefined;
  return {
    severity: 'warning',
    code: 'partition-lossy',
    subject,
    message: `its leader was made with possible loss of records in epoch ${known.epoch}`,
    advice: `partita cluster audit tells who did it and why; the mark ends with the next leader: partita partition elect ${topic.name} ${known.partition}`,
  };
});

export const suspectReplicas: Rule = each(({ sight: { state }, topic, known, config, subject }) => {
  const suspects = config.replicas.filter(
    (replica) => liveReplica(state, topic.definition.topicId, known.partition, replica)?.report.suspect === true,
  );
  if (suspects.length === 0) return undefined;
  const ids = suspects.map(({ brokerId }) => brokerId).join(', ');
  return {
    severity: 'warning',
    code: 'replica-suspect',
    subject,
    message: `the replica on broker ${ids} may lack acknowledged records or is damaged: it does not count in elections`,
    advice: `It is repaired from the leader by itself; if it stays so: partita log verify on broker ${ids}, then partita partition move ${subject} --from ${suspects[0]?.brokerId ?? 0} --to ID`,
  };
});

export const oneRack: Rule = each(({ sight: { state }, config, subject }) => {
  const racks = new Set([...state.brokers()].map(({ facts }) => facts.rack).filter((rack) => rack !== ''));
  const used = new Set(config.replicas.map(({ brokerId }) => state.broker(brokerId)?.facts.rack ?? ''));
  const [only = ''] = used;
  if (racks.size < 2 || config.replicas.length < 2 || used.size > 1 || only === '') return undefined;
  return {
    severity: 'warning',
    code: 'partition-in-one-rack',
    subject,
    message: `all of its ${config.replicas.length} replicas are in rack ${only}`,
    advice: 'partita cluster rebalance moves one to another rack',
  };
});

/** Topics with one replica, where there could be more. */
export const factorOne: Rule = ({ state }) => {
  if ([...state.brokers()].length < 2) return [];
  return activeTopics(state)
    .filter(({ definition }) => definition.replicationFactor === 1)
    .map(({ name }) => ({
      severity: 'note',
      code: 'topic-one-replica',
      subject: name,
      message: 'has one replica: it is away when its broker is, and lost with its disk',
      advice: `partita topic update ${name} --replication-factor 3`,
    }));
};

/** Topics that take an acknowledgement of one replica for enough, though they have more. */
export const minInSyncOne: Rule = ({ state }) =>
  activeTopics(state)
    .filter(({ definition: { settings, replicationFactor } }) => {
      return replicationFactor > 1 && settingsInForce(settings, replicationFactor).minInSyncReplicas === 1;
    })
    .map(({ name }) => ({
      severity: 'note',
      code: 'topic-min-in-sync-one',
      subject: name,
      message: 'acknowledges records that one replica alone has: they are lost with its disk',
      advice: `partita topic update ${name} --setting min_in_sync_replicas=2`,
    }));

export const parkedTopics: Rule = ({ state }) =>
  activeTopics(state)
    .filter(({ name, definition }) => name !== definition.name)
    .map(({ name, definition }) => ({
      severity: 'warning',
      code: 'topic-parked',
      subject: name,
      message: `is a second topic of the name ${definition.name}, which an older one has`,
      advice: `Copy what you need (partita consume '${name}'), then partita topic delete '${name}' --yes`,
    }));
