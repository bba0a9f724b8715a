/**
 * Holds against each other what a broker's journal, checkpoint and directories say about which replicas there are. The
 * journal decides: the broker opens what it names, and nothing else.
 */
import { parseJournalEntry } from './journal-entry.ts';

/** What was found, by partition key `<topic id>/<partition>` where it is one. */
export interface ReplicaFacts {
  /** State of the journal; undefined when there is none that can be read. */
  readonly journal: ReadonlyMap<string, Uint8Array> | undefined;
  /** Keys of the partitions that have a directory. */
  readonly directories: ReadonlySet<string>;
  /** Topics that have a directory, and what its topic.config is like. */
  readonly topics: ReadonlyMap<string, 'intact' | 'damaged' | 'missing'>;
  /** Offsets below which logs were durable, by partition key. */
  readonly knownSynced: ReadonlyMap<string, bigint>;
}

/** What does not fit. */
export interface ReplicaFinding {
  readonly severity: 'note' | 'damage';
  readonly check: 'journal' | 'topic-config' | 'log-end' | 'leftover' | 'checkpoint';
  /** Path below the data directory. */
  readonly name: string;
  readonly message: string;
}

export function checkReplicas(facts: ReplicaFacts): ReplicaFinding[] {
  if (facts.journal === undefined) {
    if (facts.directories.size === 0) return [];
    const message = `nothing says which of the ${facts.directories.size} replicas here count; the broker opens none`;
    return [{ severity: 'damage', check: 'journal', name: 'meta.journal', message }];
  }
  const findings: ReplicaFinding[] = [];
  const replicas = new Set<string>();
  const deleted = new Set<string>();
  const floors = new Set<string>();
  for (const [key, value] of facts.journal) {
    const entry = parseJournalEntry(key, value);
    if (entry.kind === 'tombstone') deleted.add(entry.topicId);
    if (entry.kind === 'floor') floors.add(entry.partition);
    if (entry.kind === 'replica') {
      replicas.add(entry.partition);
      if (entry.meta.suspect) findings.push(suspect(entry.partition));
    }
    if (entry.kind !== 'unknown') continue;
    const severity = key.startsWith('replica/') || key.startsWith('tombstone/') ? 'damage' : 'note';
    findings.push({ severity, check: 'journal', name: 'meta.journal', message: `key ${key}: ${entry.why}` });
  }
  findings.push(...missing(facts, replicas), ...unknown(facts, replicas, deleted, floors));
  return findings;
}

function suspect(partition: string): ReplicaFinding {
  const message = 'the journal says that it may have lost acknowledged batches: it neither votes nor leads';
  return { severity: 'note', check: 'journal', name: partition, message };
}

/** Replicas of the journal that lack their files. */
function missing(facts: ReplicaFacts, replicas: ReadonlySet<string>): ReplicaFinding[] {
  const findings: ReplicaFinding[] = [];
  for (const topicId of new Set([...replicas].map(topicOf))) {
    if ((facts.topics.get(topicId) ?? 'missing') !== 'missing') continue;
    const message = 'it is missing, so the replicas of the topic stay offline';
    findings.push({ severity: 'damage', check: 'topic-config', name: `${topicId}/topic.config`, message });
  }
  for (const partition of replicas) {
    if (facts.directories.has(partition)) continue;
    const synced = facts.knownSynced.get(partition) ?? 0n;
    findings.push(
      synced > 0n
        ? {
            severity: 'damage',
            check: 'log-end',
            name: partition,
            message: `the files of offsets below ${synced} are gone`,
          }
        : {
            severity: 'note',
            check: 'journal',
            name: partition,
            message: 'it has no files yet; the next start makes them',
          },
    );
  }
  return findings;
}

/** Files and lines of which the journal knows nothing. */
function unknown(
  facts: ReplicaFacts,
  replicas: ReadonlySet<string>,
  deleted: ReadonlySet<string>,
  floors: ReadonlySet<string>,
): ReplicaFinding[] {
  const findings: ReplicaFinding[] = [];
  for (const topicId of facts.topics.keys()) {
    if (!deleted.has(topicId)) continue;
    const message = 'the topic is deleted; the next start removes the rest';
    findings.push({ severity: 'note', check: 'leftover', name: topicId, message });
  }
  for (const partition of facts.directories) {
    if (replicas.has(partition) || deleted.has(topicOf(partition))) continue;
    const message = floors.has(partition)
      ? 'the replica is deleted; the next start removes the rest'
      : 'the journal knows no such replica, so the broker does not open it';
    findings.push({ severity: 'note', check: 'leftover', name: partition, message });
  }
  for (const partition of facts.knownSynced.keys()) {
    if (replicas.has(partition) || facts.directories.has(partition) || deleted.has(topicOf(partition))) continue;
    const message = `it has a line for ${partition}, of which there is nothing else`;
    findings.push({ severity: 'note', check: 'checkpoint', name: 'checkpoint', message });
  }
  return findings;
}

function topicOf(partition: string): string {
  return partition.slice(0, partition.indexOf('/'));
}
