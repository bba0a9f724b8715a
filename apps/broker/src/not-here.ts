/** Errors for requests that this broker cannot serve, with what it knows of who can. */
import { PartitaError } from '@partita/domain';
import type { ErrorMetadata } from '@partita/domain';
import type { TopicRoute } from '@partita/protocol';
import type { DirectoryView } from '@partita/rpc/server';

/** A partition as a request names it. */
export interface NamedPartition {
  /** Empty = by name. */
  readonly topicId: string;
  readonly topic: string;
  readonly partition: number;
}

/** Why a partition of which this broker has no replica cannot be served: unknown, or somebody else's. */
export function unknownHere(directory: DirectoryView, named: NamedPartition): PartitaError {
  const route = routeOf(directory, named);
  const called = named.topic === '' ? named.topicId : named.topic;
  if (route === undefined) {
    return new PartitaError(
      'TOPIC_NOT_FOUND',
      `topic "${called}" does not exist; create it with \`partita topic create ${called}\``,
      { topic: called },
    );
  }
  const count = route.partitions.length;
  if (named.partition < 0 || named.partition >= count) {
    return new PartitaError(
      'PARTITION_NOT_FOUND',
      `topic "${route.topic}" has partitions 0 to ${count - 1}, not ${named.partition}; refresh the routes`,
      { topic: route.topic, partition: String(named.partition), partition_count: String(count) },
    );
  }
  return leaderElsewhere(directory, { ...named, topicId: route.topicId, topic: route.topic });
}

/** NOT_LEADER with leader, epoch and address as far as the directory tells. `ownId`: the broker that answers. */
export function leaderElsewhere(directory: DirectoryView, named: NamedPartition, ownId = 0): PartitaError {
  const { topicId, topic, partition } = named;
  // A route has all partitions of its topic, in order.
  const known = routeOf(directory, named)?.partitions[partition];
  const metadata: Record<string, string> = { topic_id: topicId, topic, partition: String(partition) };
  // The directory may still name this broker, which knows better.
  if (known !== undefined && known.leaderId !== 0 && known.leaderId !== ownId) {
    metadata['leader'] = String(known.leaderId);
    metadata['leader_epoch'] = String(known.leaderEpoch);
    const broker = directory.snapshot().brokers.find((candidate) => candidate.brokerId === known.leaderId);
    if (broker !== undefined) metadata['address'] = broker.address;
  }
  return notLeader(metadata);
}

function notLeader(metadata: ErrorMetadata): PartitaError {
  const who = metadata['leader'] === undefined ? 'nobody does that it knows of' : `broker ${metadata['leader']} does`;
  const message = `this broker does not lead partition ${metadata['partition'] ?? ''}, ${who}; refresh the routes and resend`;
  return new PartitaError('NOT_LEADER', message, metadata);
}

function routeOf(directory: DirectoryView, named: NamedPartition): TopicRoute | undefined {
  return named.topicId === '' ? directory.routeOf(named.topic) : directory.routeOfId(named.topicId);
}
