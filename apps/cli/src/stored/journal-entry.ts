/**
 * What a broker's journal keeps by key: `replica/<topic id>/<partition>`, `start/<topic id>/<partition>` (lowest offset
 * kept, int64 little-endian), `floor/<topic id>/<partition>` (of a replica that was deleted), `tombstone/<topic id>` and
 * `boot-id`.
 */
import { KeptFloor, ReplicaMeta, TopicTombstone } from '@partita/protocol';

/** One value of the journal. */
export type JournalEntry =
  | { readonly kind: 'replica'; readonly partition: string; readonly meta: ReplicaMeta }
  | { readonly kind: 'start'; readonly partition: string; readonly logStart: bigint }
  | { readonly kind: 'floor'; readonly partition: string; readonly floor: KeptFloor }
  | { readonly kind: 'tombstone'; readonly topicId: string; readonly tombstone: TopicTombstone }
  | { readonly kind: 'boot-id'; readonly bootId: string }
  | { readonly kind: 'unknown'; readonly why: string };

/** Never throws: what cannot be read is `unknown`. */
export function parseJournalEntry(key: string, value: Uint8Array): JournalEntry {
  try {
    if (key === 'boot-id') return { kind: 'boot-id', bootId: Buffer.from(value).toString('utf8') };
    const slash = key.indexOf('/');
    const name = key.slice(slash + 1);
    if (key.startsWith('replica/')) return { kind: 'replica', partition: name, meta: ReplicaMeta.decode(value) };
    if (key.startsWith('start/')) {
      return { kind: 'start', partition: name, logStart: Buffer.from(value).readBigInt64LE() };
    }
    if (key.startsWith('floor/')) return { kind: 'floor', partition: name, floor: KeptFloor.decode(value) };
    if (key.startsWith('tombstone/')) {
      return { kind: 'tombstone', topicId: name, tombstone: TopicTombstone.decode(value) };
    }
    return { kind: 'unknown', why: 'this release knows no such key' };
  } catch (error) {
    return { kind: 'unknown', why: error instanceof Error ? error.message : String(error) };
  }
}
