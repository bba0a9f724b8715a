/**
 * Holds a directory that was read back against memory. The coordinator alone writes it, so what differs and stays so was
 * changed by somebody else, or lost. When an entry was written and what state its brokers are in is for people, and not
 * compared.
 */
import type { DirectoryContent } from '@partita/metadata-store';

/** Differences named for the log, at most. */
const NAMED_COUNT_MAX = 5;

export class DirectoryCheck {
  #before = new Map<string, string>();

  /**
   * Names of entries that differ now and differed in the same way at the last call: what is on its way to the directory is
   * there by then. Empty = all is well.
   */
  compare(stored: DirectoryContent, memory: DirectoryContent): string[] {
    const found = differences(entriesOf(stored), entriesOf(memory), new Set(stored.tombstones.map(tombstoneName)));
    const lasting = [...found].filter(([name, how]) => this.#before.get(name) === how).map(([name]) => name);
    this.#before = found;
    return lasting.slice(0, NAMED_COUNT_MAX);
  }

  /** The directory is another now. */
  forget(): void {
    this.#before = new Map();
  }
}

/** By name of the entry: what the directory says and what memory says. */
function differences(
  stored: ReadonlyMap<string, string>,
  memory: ReadonlyMap<string, string>,
  tombstones: ReadonlySet<string>,
): Map<string, string> {
  const found = new Map<string, string>();
  for (const [name, text] of memory) {
    // A directory remembers deleted topics for longer than a coordinator does.
    if (name.startsWith('tombstone ') ? !tombstones.has(name) : stored.get(name) !== text)
      found.set(name, `${stored.get(name)} ${text}`);
  }
  for (const [name, text] of stored)
    if (!memory.has(name) && !name.startsWith('tombstone ')) found.set(name, `${text} undefined`);
  return found;
}

function entriesOf(content: DirectoryContent): Map<string, string> {
  const { brokers, topics, partitions, tombstones, groups, moves, settings } = content;
  const entries = new Map<string, string>();
  if (settings !== undefined) entries.set('settings', JSON.stringify([settings.version, settings.settings]));
  for (const { reassignmentId, value } of moves) entries.set(`reassignment ${reassignmentId}`, value);
  for (const topic of topics) entries.set(`topic ${topic.topicId}`, JSON.stringify(topic));
  for (const { topicId, partition, entry } of partitions) {
    const { replicas, leader, epoch, configVersion, isr, isrVersion } = entry;
    const owners = JSON.stringify({ replicas, leader, epoch, configVersion, isr, isrVersion });
    entries.set(`partition ${topicId}/${partition}`, owners);
  }
  for (const broker of brokers) entries.set(`broker ${broker.brokerId}`, JSON.stringify({ ...broker, sinceMs: 0 }));
  for (const { shard, value } of groups) entries.set(`group shard ${shard}`, value);
  for (const { reassignmentId, value } of moves) entries.set(`reassignment ${reassignmentId}`, value);
  if (settings !== undefined) entries.set('settings', JSON.stringify(settings));
  for (const tombstone of tombstones) entries.set(tombstoneName(tombstone), '');
  return entries;
}

function tombstoneName({ topicId }: { readonly topicId: string }): string {
  return `tombstone ${topicId}`;
}
