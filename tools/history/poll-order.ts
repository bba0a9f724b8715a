/**
 * Reading in order, nothing left out: within one poll, and from one ok poll of a process to its next. A poll that failed
 * does not move the position. A member of a group may be sent back to the last commit when partitions move, so between
 * its polls a step is remarked, not found; what a group must not do is in group-delivery.ts.
 */
import type { Evidence } from './evidence.ts';
import { recordsOf } from './history.ts';
import type { AssignEvent, HistoryEvent, Placed, PollEvent } from './history.ts';
import { entryOf } from './rising.ts';

/** By key: the offset that was handed out last. */
type Positions = Map<string, number>;

/** Finds int-poll-skip, int-nonmonotonic-poll, poll-skip and nonmonotonic-poll. */
export function findPollOrder(evidence: Evidence): void {
  const processes = new Map<number, Positions>();
  for (const event of evidence.history) {
    if (event.type === 'invoke') continue;
    const positions = entryOf(processes, event.process, () => new Map<string, number>());
    if (event.f === 'poll') followPoll(evidence, event, positions);
    else moveTo(event, positions);
  }
}

function followPoll(evidence: Evidence, event: PollEvent, positions: Positions): void {
  for (const [key, records] of recordsOf(event)) {
    const [first] = records;
    const last = records.at(-1);
    if (first === undefined || last === undefined) continue;
    const isRebalanced = event.rebalanced?.includes(key) === true;
    if (!isRebalanced) findWithin(evidence, event, key, records);
    if (event.type !== 'ok') continue;
    if (!isRebalanced) findBetween(evidence, event, key, positions.get(key), first[0]);
    positions.set(key, last[0]);
  }
}

function findWithin(evidence: Evidence, event: PollEvent, key: string, records: readonly Placed[]): void {
  const log = evidence.order.log(key);
  let before: number | undefined;
  for (const [offset] of records) {
    if (before !== undefined && offset <= before) {
      const where = `poll ${event.op} of process ${event.process}`;
      evidence.findings.add('int-nonmonotonic-poll', `${where} has ${offset} of ${key} behind ${before}`);
    } else if (before !== undefined) {
      const skipped = log.knownBetween(before, offset);
      const where = `poll ${event.op} of process ${event.process}`;
      if (skipped !== undefined)
        evidence.findings.add('int-poll-skip', `${where} steps over ${skipped} of ${key}, from ${before} to ${offset}`);
    }
    before = offset;
  }
}

function findBetween(
  { order, findings, remarks }: Evidence,
  event: PollEvent,
  key: string,
  before: number | undefined,
  offset: number,
): void {
  if (before === undefined) return;
  const told = event.group === undefined ? findings : remarks;
  const where = `poll ${event.op} of process ${event.process}`;
  if (offset <= before) {
    told.add('nonmonotonic-poll', `${where} begins with ${offset} of ${key}, behind ${before}`);
    return;
  }
  const skipped = order.log(key).knownBetween(before, offset);
  if (skipped !== undefined)
    told.add('poll-skip', `${where} begins with ${offset} of ${key}, over ${skipped}, behind ${before}`);
}

/** What anything but a poll does to the positions. */
function moveTo(event: HistoryEvent, positions: Positions): void {
  switch (event.f) {
    case 'assign':
      if (event.type === 'ok') assign(event, positions);
      else positions.clear();
      return;
    case 'assigned':
      for (const [key, offset] of Object.entries(event.positions)) positions.set(key, offset - 1);
      return;
    case 'revoked':
      for (const key of Object.keys(event.epochs)) positions.delete(key);
      return;
    case 'subscribe':
    case 'crash':
      positions.clear();
      return;
    default:
      return;
  }
}

function assign(event: AssignEvent, positions: Positions): void {
  for (const key of [...positions.keys()]) if (!event.keys.includes(key)) positions.delete(key);
  for (const [key, offset] of Object.entries(event.seeks ?? {})) positions.set(key, offset - 1);
}
