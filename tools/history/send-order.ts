/**
 * Sends of one process against the log. The values of a send, and the sends of a process to a key in the order in which it
 * made them, also while several are under way, have growing offsets; others' records may lie between. Sends of unknown
 * outcome are left out: without a producer session one may arrive late, behind its successors. So are requests, whose
 * repeats are answered with the first place; for producer sessions see sessions.ts.
 */
import type { Evidence } from './evidence.ts';
import { offsetsOf } from './history.ts';
import { entryOf } from './rising.ts';
import type { KeyLog } from './version-order.ts';

interface Sent {
  readonly invokedAt: number;
  readonly op: number;
  readonly first: number;
  readonly last: number;
}

/** Finds int-nonmonotonic-send, nonmonotonic-send and key-order. */
export function findSendOrder(evidence: Evidence): void {
  const lanes = new Map<string, Sent[]>();
  for (const [index, event] of evidence.history.entries()) {
    if (event.f !== 'send' || event.type !== 'ok' || event.key === undefined || event.requestId !== undefined) continue;
    const offsets = offsetsOf(event);
    const [first] = offsets;
    const last = offsets.at(-1);
    if (first === undefined || last === undefined) continue;
    for (const [number, offset] of offsets.entries()) {
      const before = offsets[number - 1] ?? -1;
      if (offset <= before)
        evidence.findings.add(
          'int-nonmonotonic-send',
          `send ${event.op} to ${event.key} has ${offset} behind ${before}`,
        );
    }
    const lane = entryOf(lanes, `${event.process} ${event.key}`, (): Sent[] => []);
    lane.push({ invokedAt: evidence.invokedAt[index] ?? index, op: event.op, first, last });
  }
  for (const [name, lane] of lanes) findLaneOrder(evidence, name, lane);
  for (const log of evidence.order.logs.values()) findKeyOrder(evidence, log);
}

function findLaneOrder({ findings }: Evidence, name: string, lane: Sent[]): void {
  lane.sort((one, other) => one.invokedAt - other.invokedAt);
  let before: Sent | undefined;
  for (const sent of lane) {
    if (before !== undefined && sent.first <= before.last) {
      const [process, key] = name.split(' ');
      const text = `process ${process}, ${key}: send ${sent.op} is at ${sent.first}, send ${before.op} before it at ${before.last}`;
      findings.add('nonmonotonic-send', text);
    }
    before = sent;
  }
}

function findKeyOrder({ findings }: Evidence, log: KeyLog): void {
  const newest = new Map<string, { readonly sentNumber: number; readonly value: string }>();
  for (const offset of log.offsets) {
    const facts = log.at(offset);
    // A copy of a duplicate is named already.
    if (facts?.recordKey === undefined || facts.state !== 'ok' || offset !== facts.firstOffset) continue;
    const name = `${facts.process} ${facts.recordKey}`;
    const before = newest.get(name);
    if (before !== undefined && facts.sentNumber < before.sentNumber) {
      findings.add(
        'key-order',
        `${log.key}: "${facts.value}" at ${offset} was sent before "${before.value}", which is before it`,
      );
    } else newest.set(name, facts);
  }
}
