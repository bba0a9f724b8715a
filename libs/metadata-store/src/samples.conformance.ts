/** Entries for the tests of the stores. */
import { randomUUID } from 'node:crypto';
import { PartitaError } from '@partita/domain';
import type { BrokerEntry } from './broker-entry.ts';
import type { DirectoryContent } from './metadata-store.ts';
import type { PartitionEntry } from './partition-entry.ts';
import type { TopicEntry } from './topic-entry.ts';

export const EMPTY: DirectoryContent = {
  brokers: [],
  topics: [],
  partitions: [],
  tombstones: [],
  groups: [],
  moves: [],
  settings: undefined,
};

export function topicEntry(name: string, topicId: string = randomUUID()): TopicEntry {
  return {
    topicId,
    name,
    partitionCount: 4,
    replicationFactor: 1,
    minInSync: 1,
    flush: 'fsync',
    version: 1,
    state: 'creating',
    settings: '{"retentionMs":"604800000"}',
  };
}

export function partitionEntry(epoch: number, configVersion = 1, isrVersion = 1, leader = 1): PartitionEntry {
  return {
    configVersion,
    replicas: [{ brokerId: 1, dirUuid: 'dir-1', replicaId: 'replica-1' }],
    leader,
    epoch,
    isr: [1],
    isrVersion,
    status: 'online',
    updatedMs: 1_760_000_000_000,
  };
}

export function brokerEntry(brokerId: number): BrokerEntry {
  return {
    brokerId,
    address: `127.0.0.1:${9100 + brokerId}`,
    peerAddress: `127.0.0.1:${9200 + brokerId}`,
    dirUuid: `dir-${brokerId}`,
    incarnation: 'first',
    rack: '',
    state: 'up',
    sinceMs: 1_760_000_000_000,
  };
}

/** Awaits a PartitaError and gives its reason and metadata. */
export async function refusal(work: Promise<unknown>): Promise<{ reason: string; metadata: Record<string, string> }> {
  const error: unknown = await work.then(
    () => undefined,
    (failure: unknown) => failure,
  );
  if (!(error instanceof PartitaError)) throw new Error(`expected a PartitaError, got ${String(error)}`);
  return { reason: error.reason, metadata: { ...error.metadata } };
}
