/**
 * What was changed by whom. Stored as an entry of the stream `ops` with the fields
 *
 *   op, subject, client, time (milliseconds UTC, the coordinator's clock), details (JSON text)
 *
 * The stream also holds what the scripts note of their own writes; only entries with a `client` are of the audit trail.
 */
import type { Stored } from './stored-fields.ts';
import { text, whole } from './stored-fields.ts';

export interface AuditEntry {
  /** Name of the operation: `topic_create`, `leader_elected`, … */
  readonly operation: string;
  /** What it was done to: a topic, or `<topic>/<partition>`. */
  readonly resource: string;
  /** Who asked, as the client names itself; empty = the coordinator by itself. */
  readonly clientId: string;
  /** Milliseconds UTC. */
  readonly timeMs: number;
  /** JSON text. */
  readonly details: string;
}

/** Entries, newest first. */
export interface AuditPage {
  readonly entries: readonly AuditEntry[];
  /** Where the next page begins; undefined = the end. */
  readonly next: string | undefined;
}

/** In the order in which the script audit-append takes them. */
export function encodeAuditEntry({ operation, resource, clientId, timeMs, details }: AuditEntry): (string | number)[] {
  return [operation, resource, clientId, timeMs, details];
}

/** Undefined for a stream entry that a script noted of its own. `fields` are names and values by turns. */
export function decodeAuditEntry(where: string, fields: readonly string[]): AuditEntry | undefined {
  const named = new Map<string, string>();
  for (let at = 0; at + 1 < fields.length; at += 2) named.set(fields[at] ?? '', fields[at + 1] ?? '');
  if (!named.has('client')) return undefined;
  const stored = (name: string): Stored => ({ where: `${where} ${name}`, value: named.get(name) });
  return {
    operation: text(stored('op')),
    resource: text(stored('subject')),
    clientId: text(stored('client')),
    timeMs: whole(stored('time')),
    details: text(stored('details')),
  };
}
