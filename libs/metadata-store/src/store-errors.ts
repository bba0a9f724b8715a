/** The failures of every metadata store, in the words that a user reads. */
import { PartitaError } from '@partita/domain';

export function wrongCluster(expected: string, found: string): PartitaError {
  return new PartitaError(
    'WRONG_CLUSTER',
    `this Redis holds the metadata of cluster ${found}, not of ${expected}; give each cluster its own Redis or its own cluster name`,
    { expected, found },
  );
}

/** `holderUrl` is empty when the lease has run out and nobody holds it. */
export function leaseLost(holderUrl: string): PartitaError {
  const message =
    holderUrl === '' ? 'the coordinator lease has run out' : `another coordinator is active; send this to ${holderUrl}`;
  return new PartitaError('NOT_ACTIVE_COORDINATOR', message, { holder_url: holderUrl });
}

export function topicNameTaken(name: string, topicId: string): PartitaError {
  return new PartitaError('TOPIC_ALREADY_EXISTS', `topic "${name}" exists; choose another name or delete it first`, {
    topic: name,
    topic_id: topicId,
  });
}

export function topicMissing(topicId: string): PartitaError {
  return new PartitaError('TOPIC_NOT_FOUND', `no topic has the id ${topicId}`, { topic_id: topicId });
}

export function topicDeleted(topicId: string): PartitaError {
  return new PartitaError('TOPIC_NOT_FOUND', `the topic with the id ${topicId} was deleted; create it under a new id`, {
    topic_id: topicId,
  });
}

export function storeClosed(): PartitaError {
  return new PartitaError('METADATA_STORE_UNAVAILABLE', 'the metadata store is not connected', {});
}
