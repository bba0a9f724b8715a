/**
 * The keys of one cluster in Redis. All begin with `partita:{<cluster>}:`; what stands in braces is what Redis Cluster
 * hashes, so all keys of a cluster are in one slot and one script may touch any of them.
 *
 *   meta        hash    cluster_id, generation (uuid of this build), revision (each write adds one), schema;
 *                       `rebuilding` names the generation that is being written while `generation` is missing
 *   lease       hash    run, url, token, ttl_ms of the active coordinator; expires by itself
 *   lease_seq   int     the highest token given
 *   brokers     hash    broker id -> JSON (broker-entry.ts)
 *   topics      hash    name -> topic id
 *   topic:<id>  hash    topic-entry.ts
 *   part:<id>   hash    partition -> JSON (partition-entry.ts)
 *   tomb:<id>   string  JSON of a deleted topic (topic-entry.ts), kept for 30 days
 *   settings    hash    settings-entry.ts
 *   groups      hash    shard -> JSON of the group service that claims it, a hint
 *   moves       hash    reassignment id -> JSON of its moves, which the coordinator owns
 *   ops         stream  what was changed by whom (audit-entry.ts), and op, subject, token, revision of each write but
 *                       those of partitions
 */
import { PartitaError } from '@partita/domain';

const CLUSTER = /^[A-Za-z0-9._-]{1,64}$/;

export interface MetadataKeys {
  readonly meta: string;
  readonly lease: string;
  readonly leaseSeq: string;
  readonly brokers: string;
  readonly topics: string;
  readonly settings: string;
  readonly groups: string;
  readonly moves: string;
  readonly ops: string;
  readonly topic: (topicId: string) => string;
  readonly part: (topicId: string) => string;
  readonly tomb: (topicId: string) => string;
  /** Patterns for SCAN; the cluster's name holds no character that a pattern gives a meaning. */
  readonly topicPattern: string;
  readonly partPattern: string;
  readonly tombPattern: string;
}

/** The keys of the cluster called `cluster`; INVALID_SETTING if the name has other than letters, digits and `. _ -`. */
export function metadataKeys(cluster: string): MetadataKeys {
  if (!CLUSTER.test(cluster)) {
    throw new PartitaError('INVALID_SETTING', 'a cluster name is 1 to 64 characters of A-Z a-z 0-9 . _ -', { cluster });
  }
  const prefix = `partita:{${cluster}}:`;
  return {
    meta: `${prefix}meta`,
    lease: `${prefix}lease`,
    leaseSeq: `${prefix}lease_seq`,
    brokers: `${prefix}brokers`,
    topics: `${prefix}topics`,
    settings: `${prefix}settings`,
    groups: `${prefix}groups`,
    moves: `${prefix}moves`,
    ops: `${prefix}ops`,
    topic: (topicId) => `${prefix}topic:${topicId}`,
    part: (topicId) => `${prefix}part:${topicId}`,
    tomb: (topicId) => `${prefix}tomb:${topicId}`,
    topicPattern: `${prefix}topic:*`,
    partPattern: `${prefix}part:*`,
    tombPattern: `${prefix}tomb:*`,
  };
}
