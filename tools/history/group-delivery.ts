/**
 * What a group owes its members: between two commits every known record was given to one of them, and who gets a partition
 * goes on where the group is, or is told why not.
 */
import type { Evidence } from './evidence.ts';
import { recordsOf } from './history.ts';
import type { AssignedEvent, CommitEvent, PollEvent } from './history.ts';
import { entryOf } from './rising.ts';

interface GroupKey {
  readonly name: string;
  readonly key: string;
  /** Offsets given to any member by ok polls. */
  readonly given: Set<number>;
  /** Ranges [from, to) that a reset passed over. */
  readonly excused: { readonly from: number; readonly to: number }[];
  /** Where the first member began. */
  start: number | undefined;
  /** Highest accepted commit, or where a reset led. */
  accepted: number | undefined;
  highestAccepted: number;
  /** Positions that may be the group's: of commits without an answer, or with an unknown one. */
  readonly doubtful: Set<number>;
}

/** Finds group-skip and reset-surprise. */
export function findGroupDelivery(evidence: Evidence): void {
  const groupKeys = new Map<string, GroupKey>();
  const stateOf = (group: string, key: string): GroupKey =>
    entryOf(groupKeys, `${group} ${key}`, () => newState(group, key));
  for (const event of evidence.history) {
    if (event.f === 'commit') commit(event, stateOf);
    else if (event.f === 'assigned') assigned(evidence, event, stateOf);
    else if (event.f === 'poll' && event.type === 'ok') poll(event, stateOf);
  }
  for (const state of groupKeys.values()) findSkips(evidence, state);
}

function newState(group: string, key: string): GroupKey {
  const name = `${key} of ${group}`;
  const empty = { given: new Set<number>(), excused: [], doubtful: new Set<number>() };
  return { name, key, start: undefined, accepted: undefined, highestAccepted: -1, ...empty };
}

type StateOf = (group: string, key: string) => GroupKey;

function commit(event: CommitEvent, stateOf: StateOf): void {
  for (const [key, offset] of Object.entries(event.offsets)) {
    const state = stateOf(event.group, key);
    if (event.type === 'invoke') state.doubtful.add(offset);
    else if (event.type === 'fail') state.doubtful.delete(offset);
    else if (event.type === 'ok') {
      if (event.member === undefined) move(state, offset);
      else state.accepted = Math.max(offset, state.accepted ?? -1);
      state.highestAccepted = Math.max(offset, state.highestAccepted);
      // At or below an accepted one nothing is in doubt any more.
      for (const doubtful of state.doubtful) if (doubtful <= offset) state.doubtful.delete(doubtful);
    }
  }
}

function assigned({ findings }: Evidence, event: AssignedEvent, stateOf: StateOf): void {
  for (const [key, position] of Object.entries(event.positions)) {
    const state = stateOf(event.group, key);
    state.start = Math.min(position, state.start ?? position);
    const { accepted } = state;
    if (event.resets?.includes(key) === true) move(state, position);
    else if (accepted === undefined || position === accepted) continue;
    else if (position > accepted && state.doubtful.has(position)) state.accepted = state.highestAccepted = position;
    else
      findings.add('reset-surprise', `${event.member} got ${state.name} at ${position}, the group is at ${accepted}`);
  }
}

/** Somebody put the group there: what lies between is nobody's. */
function move(state: GroupKey, position: number): void {
  const { accepted } = state;
  if (accepted !== undefined && position > accepted) state.excused.push({ from: accepted, to: position });
  state.accepted = position;
}

function poll(event: PollEvent, stateOf: StateOf): void {
  if (event.group === undefined) return;
  for (const [key, records] of recordsOf(event)) {
    const { given } = stateOf(event.group, key);
    for (const [offset] of records) given.add(offset);
  }
}

function findSkips({ order, findings }: Evidence, state: GroupKey): void {
  const { start, given, excused, highestAccepted } = state;
  if (start === undefined) return;
  for (const offset of order.log(state.key).offsets) {
    if (offset < start || offset >= highestAccepted || given.has(offset)) continue;
    if (excused.some(({ from, to }) => from <= offset && offset < to)) continue;
    findings.add('group-skip', `${state.name} is at ${highestAccepted}, and no member was given ${offset}`);
  }
}
