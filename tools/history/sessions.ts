/**
 * Producer sessions against the log. What a session stored of a key lies in the order of its sends, whatever anyone was told
 * of them, and nothing is left out: where a record is stored, every earlier one of the session and the key is, unless it
 * was refused. One whose outcome the client was told to be unknown ends the session for it: what is sent after that may be
 * stored without it, what was sent before may not.
 */
import type { Evidence } from './evidence.ts';
import { valuesOf } from './history.ts';
import { entryOf } from './rising.ts';
import type { KeyLog, ValueFacts } from './version-order.ts';

interface Sent {
  readonly facts: ValueFacts;
  readonly recordKey: string | undefined;
  /** Absent while the record's key chose it, and nobody was told. */
  readonly key: string | undefined;
  readonly invokedAt: number;
  /** Index at which the session was told that nobody knows. */
  readonly doubtedAt: number;
}

/** Finds session-order and session-gap. */
export function findSessions(evidence: Evidence): void {
  for (const [session, sends] of sentBySession(evidence)) {
    for (const [key, lane] of lanesOf(sends)) {
      findOrder(evidence, `session ${session}, ${key}`, evidence.order.log(key), lane);
      findGaps(evidence, `session ${session}, ${key}`, lane);
    }
  }
}

/** In the order of the sends. */
function sentBySession({ history, order }: Evidence): Map<string, Sent[]> {
  const doubtedAt = new Map<number, number>();
  for (const [index, { f, type, op }] of history.entries())
    if (f === 'send' && type === 'info') doubtedAt.set(op, index);
  const sessions = new Map<string, Sent[]>();
  for (const [index, event] of history.entries()) {
    if (event.f !== 'send' || event.type !== 'invoke' || event.session === undefined) continue;
    const sends = entryOf(sessions, event.session, (): Sent[] => []);
    const { key, recordKey } = event;
    for (const value of valuesOf(event)) {
      const facts = order.values.get(value);
      if (facts === undefined) continue;
      const told = { facts, recordKey, invokedAt: index, doubtedAt: doubtedAt.get(event.op) ?? Infinity };
      sends.push({ ...told, key: key ?? facts.log?.key });
    }
  }
  return sessions;
}

/** By key. One whose key nobody was told goes where others with its record key went; else it is left out. */
function lanesOf(sends: readonly Sent[]): Map<string, Sent[]> {
  const keyOfRecordKey = new Map<string, string>();
  for (const { recordKey, facts } of sends)
    if (recordKey !== undefined && facts.log !== undefined) keyOfRecordKey.set(recordKey, facts.log.key);
  const lanes = new Map<string, Sent[]>();
  for (const sent of sends) {
    const key = sent.key ?? keyOfRecordKey.get(sent.recordKey ?? '');
    if (key !== undefined) entryOf(lanes, key, (): Sent[] => []).push(sent);
  }
  return lanes;
}

function findOrder({ findings }: Evidence, where: string, log: KeyLog, lane: readonly Sent[]): void {
  let last: ValueFacts | undefined;
  for (const { facts } of lane) {
    // A copy of a duplicate is named already.
    if (facts.log !== log) continue;
    if (last !== undefined && facts.firstOffset <= last.firstOffset)
      findings.add(
        'session-order',
        `${where}: "${facts.value}" is at ${facts.firstOffset}, "${last.value}", sent before it, at ${last.firstOffset}`,
      );
    else last = facts;
  }
}

function findGaps({ findings }: Evidence, where: string, lane: readonly Sent[]): void {
  let next: Sent | undefined;
  for (const sent of lane.toReversed()) {
    const { facts, doubtedAt } = sent;
    if (facts.log !== undefined || facts.state === 'ok') next = sent;
    else if (facts.state !== 'fail' && next !== undefined && next.invokedAt < doubtedAt)
      findings.add(
        'session-gap',
        `${where}: "${next.facts.value}" is there, and "${facts.value}", sent before it, is not`,
      );
  }
}
