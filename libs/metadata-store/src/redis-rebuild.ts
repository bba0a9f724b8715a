/** Writes a whole directory over what is there, in chunks that leave Redis time for others (lua/rebuild.lua). */
import { METADATA_CHUNK_COUNT_MAX, METADATA_TOMBSTONE_MS } from '@partita/domain';
import { encodeBrokerEntry } from './broker-entry.ts';
import type { MetadataKeys } from './keys.ts';
import type { DirectoryContent, RebuildRequest, WriteOutcome } from './metadata-store.ts';
import { encodePartitionEntry } from './partition-entry.ts';
import { brokenTombstones, DIRECTORY_SCHEMA, type DirectoryReader, scanKeys } from './redis-snapshot.ts';
import { encodeSettingsEntry } from './settings-entry.ts';
import { encodeTombstone, encodeTopicEntry } from './topic-entry.ts';

/** Sends one step: its keys, then its arguments. Throws when the lease is lost. */
export type RebuildStep = (
  step: 'begin' | 'delete' | 'put' | 'keep' | 'end',
  keys: readonly string[],
  args: readonly (string | number)[],
) => Promise<WriteOutcome>;

interface HashField {
  readonly key: string;
  readonly name: string;
  readonly value: string;
}

/** Runs all steps; ends early with `rolled_back` when another rebuild came between. */
export async function rebuildDirectory(
  reader: DirectoryReader,
  request: RebuildRequest,
  step: RebuildStep,
): Promise<WriteOutcome> {
  const { keys } = reader;
  const { content, expectedGeneration = '' } = request;
  const hashes = [keys.brokers, keys.topics, keys.groups, keys.settings, keys.moves];
  const begun = await step('begin', hashes, [expectedGeneration]);
  if (begun.status !== 'written') return begun;
  const topics = [await scanKeys(reader, keys.topicPattern), await scanKeys(reader, keys.partPattern)];
  for (const chunk of chunks([...topics.flat(), ...(await brokenTombstones(reader))])) {
    const deleted = await step('delete', chunk, []);
    if (deleted.status === 'rolled_back') return deleted;
  }
  for (const chunk of chunks(hashFields(keys, content))) {
    const hashes = [...new Set(chunk.map(({ key }) => key))];
    const placeOf = new Map(hashes.map((key, index) => [key, index + FIRST_PLACE]));
    const args = chunk.flatMap(({ key, name, value }) => [placeOf.get(key) ?? 0, name, value]);
    const put = await step('put', hashes, args);
    if (put.status === 'rolled_back') return put;
  }
  for (const chunk of chunks(content.tombstones)) {
    const tombs = chunk.map(({ topicId }) => keys.tomb(topicId));
    const kept = await step('keep', tombs, [METADATA_TOMBSTONE_MS, ...chunk.map(encodeTombstone)]);
    if (kept.status === 'rolled_back') return kept;
  }
  return step('end', [], [DIRECTORY_SCHEMA]);
}

/** Place in KEYS, counted from 1 as Lua does, of the first key behind the fence's four. */
const FIRST_PLACE = 5;

function hashFields(keys: MetadataKeys, content: DirectoryContent): HashField[] {
  const fields: HashField[] = [];
  for (const broker of content.brokers) {
    fields.push({ key: keys.brokers, name: String(broker.brokerId), value: encodeBrokerEntry(broker) });
  }
  for (const topic of content.topics) {
    fields.push({ key: keys.topics, name: topic.name, value: topic.topicId });
    fields.push(...pairs(keys.topic(topic.topicId), encodeTopicEntry(topic)));
  }
  if (content.settings !== undefined) fields.push(...pairs(keys.settings, encodeSettingsEntry(content.settings)));
  for (const { topicId, partition, entry } of content.partitions) {
    fields.push({ key: keys.part(topicId), name: String(partition), value: encodePartitionEntry(entry).text });
  }
  for (const { reassignmentId, value } of content.moves) fields.push({ key: keys.moves, name: reassignmentId, value });
  for (const { shard, value } of content.groups) fields.push({ key: keys.groups, name: String(shard), value });
  return fields;
}

/** Field and value by turns, as fields of one hash. */
function pairs(key: string, encoded: readonly string[]): HashField[] {
  const fields: HashField[] = [];
  for (let at = 0; at + 1 < encoded.length; at += 2)
    fields.push({ key, name: encoded[at] ?? '', value: encoded[at + 1] ?? '' });
  return fields;
}

function* chunks<Item>(items: readonly Item[]): Generator<Item[]> {
  for (let from = 0; from < items.length; from += METADATA_CHUNK_COUNT_MAX) {
    yield items.slice(from, from + METADATA_CHUNK_COUNT_MAX);
  }
}
