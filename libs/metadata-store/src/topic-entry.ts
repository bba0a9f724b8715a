/**
 * A topic in the directory: the hash `topic:<id>` with the fields name, partitions, replication_factor, min_insync,
 * flush, version, state and settings; and what stays of a deleted one, `tomb:<id>`, the JSON text
 * `{"name":"orders","deletedMs":1760000000000}`.
 */
import { field, malformed, oneOf, parseJson, STORED_ID_MAX, text, whole } from './stored-fields.ts';

export const TOPIC_STATES = ['creating', 'active', 'deleting'] as const;
export type TopicState = (typeof TOPIC_STATES)[number];
export const FLUSH_MODES = ['fsync', 'os'] as const;
export type FlushMode = (typeof FLUSH_MODES)[number];

export interface TopicEntry {
  /** A lower-case UUID; a topic made again under an old name has a new one. */
  readonly topicId: string;
  readonly name: string;
  readonly partitionCount: number;
  readonly replicationFactor: number;
  readonly minInSync: number;
  readonly flush: FlushMode;
  /** Version of the topic's configuration, 1 for the first. */
  readonly version: number;
  readonly state: TopicState;
  /** JSON text that the coordinator owns (retention, key ranges, limits …); kept as it is. */
  readonly settings: string;
}

export interface TopicTombstone {
  readonly topicId: string;
  readonly name: string;
  readonly deletedMs: number;
}

/** Field and value by turns, as HSET takes them. */
export function encodeTopicEntry(entry: TopicEntry): string[] {
  return ['name', entry.name, 'state', entry.state, ...encodeTopicChange(entry)];
}

/** The fields that belong to a version of the topic, as encodeTopicEntry gives all. */
export function encodeTopicChange(entry: TopicEntry): string[] {
  const fields = {
    partitions: entry.partitionCount,
    replication_factor: entry.replicationFactor,
    min_insync: entry.minInSync,
    flush: entry.flush,
    version: entry.version,
    settings: entry.settings,
  };
  return Object.entries(fields).flatMap(([name, value]) => [name, String(value)]);
}

/** `hash` is what HGETALL returned; `where` names the key for the error. */
export function decodeTopicEntry(where: string, topicId: string, hash: Readonly<Record<string, string>>): TopicEntry {
  if (Object.keys(hash).length === 0) throw malformed(where, 'no such topic, though its name is taken');
  const entry = { where, value: hash };
  return {
    topicId,
    name: text(field(entry, 'name')),
    partitionCount: whole(field(entry, 'partitions'), 1, STORED_ID_MAX),
    replicationFactor: whole(field(entry, 'replication_factor'), 1, STORED_ID_MAX),
    minInSync: whole(field(entry, 'min_insync'), 1, STORED_ID_MAX),
    flush: oneOf(field(entry, 'flush'), FLUSH_MODES),
    version: whole(field(entry, 'version')),
    state: oneOf(field(entry, 'state'), TOPIC_STATES),
    settings: text(field(entry, 'settings')),
  };
}

export function encodeTombstone({ name, deletedMs }: TopicTombstone): string {
  return JSON.stringify({ name, deletedMs });
}

export function decodeTombstone(where: string, topicId: string, stored: string): TopicTombstone {
  const tombstone = parseJson(where, stored);
  return { topicId, name: text(field(tombstone, 'name')), deletedMs: whole(field(tombstone, 'deletedMs')) };
}
