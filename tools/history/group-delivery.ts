/**
 * What a group owes its members: between two commits every known record was given to one of them, by the end everything
 * that was acknowledged (a run ends when its groups have consumed all), and who gets a partition goes on where the group is,
 * or is told why not.
 */
import type { Evidence } from './evidence.ts';
import { GroupResets } from './group-resets.ts';
import { recordsOf } from './history.ts';
import type { AssignedEvent, CommitEvent, PollEvent, SubscribeEvent } from './history.ts';
import { entryOf } from './rising.ts';

interface GroupKey {
  readonly name: string;
  readonly key: string;
  /** Offsets given to any member by ok polls. */
  readonly given: Set<number>;
  /** Ranges [from, to) that a reset passed over. */
  readonly excused: { readonly from: number; readonly to: number }[];
  /** Newest epoch at which a member was told to have it. */
  epoch: number;
  /** Where the first member began. */
  start: number | undefined;
  /** Highest accepted commit, or where a reset led. */
  accepted: number | undefined;
  highestAccepted: number;
  /** Positions that may be the group's, by operation: of commits without an answer, or with an unknown one. */
  readonly doubtful: Map<number, number>;
  readonly resets: GroupResets;
  /** An assignment that fits only what was before a reset: told late to a member that stood still, or the reset was lost. */
  suspect: { readonly epoch: number; readonly what: string } | undefined;
}

/** Finds group-skip, group-unseen and reset-surprise. */
export function findGroupDelivery(evidence: Evidence): void {
  const groupKeys = new Map<string, GroupKey>();
  const subscriptions = new Map<string, Set<string>>();
  const stateOf = (group: string, key: string): GroupKey =>
    entryOf(groupKeys, `${group} ${key}`, () => newState(group, key));
  for (const [index, event] of evidence.history.entries()) {
    const span = { index, invokedAt: evidence.invokedAt[index] ?? index };
    if (event.f === 'commit') commit(evidence, event, span, stateOf);
    else if (event.f === 'assigned') assigned(evidence, event, index, stateOf);
    else if (event.f === 'poll' && event.type === 'ok') poll(event, stateOf);
    else if (event.f === 'subscribe' && event.type === 'ok') subscribe(event, subscriptions);
  }
  for (const [group, topics] of subscriptions) beginUnassigned(evidence, group, topics, stateOf);
  for (const state of groupKeys.values()) {
    convict(evidence.findings, state);
    findSkips(evidence, state);
  }
}

function subscribe({ group, topics }: SubscribeEvent, subscriptions: Map<string, Set<string>>): void {
  const all = entryOf(subscriptions, group, () => new Set<string>());
  for (const topic of topics) all.add(topic);
}

/** A partition that no member was ever assigned is owed from its beginning. */
function beginUnassigned({ order }: Evidence, group: string, topics: ReadonlySet<string>, stateOf: StateOf): void {
  for (const key of order.logs.keys())
    if (topics.has(key.slice(0, key.lastIndexOf('-')))) stateOf(group, key).start ??= 0;
}

function newState(group: string, key: string): GroupKey {
  const name = `${key} of ${group}`;
  const empty = {
    given: new Set<number>(),
    excused: [],
    doubtful: new Map<number, number>(),
    resets: new GroupResets(),
  };
  return {
    name,
    key,
    epoch: 0,
    suspect: undefined,
    start: undefined,
    accepted: undefined,
    highestAccepted: -1,
    ...empty,
  };
}

/** Where an event is in the history, and where its operation began. */
interface Span {
  readonly index: number;
  readonly invokedAt: number;
}

type StateOf = (group: string, key: string) => GroupKey;

function commit({ findings }: Evidence, event: CommitEvent, span: Span, stateOf: StateOf): void {
  for (const [key, offset] of Object.entries(event.offsets)) {
    const state = stateOf(event.group, key);
    if (event.member === undefined) reset(event, span, offset, state);
    else if (event.type === 'invoke') state.doubtful.set(event.op, offset);
    else if (event.type === 'fail') state.doubtful.delete(event.op);
    else if (event.type === 'ok') {
      state.highestAccepted = Math.max(offset, state.highestAccepted);
      // Who commits by it has it indeed.
      if (event.epochs?.[key] === state.suspect?.epoch) convict(findings, state);
      // It may have been before the reset, and then says nothing of what is now.
      if (state.resets.mayPrecede(span.invokedAt)) continue;
      state.accepted = Math.max(offset, state.accepted ?? -1);
      // At or below an accepted one nothing is in doubt any more.
      for (const [op, doubtful] of state.doubtful) if (doubtful <= offset) state.doubtful.delete(op);
    }
  }
}

/** From outside of the group: an operator's. */
function reset({ type, op }: CommitEvent, { index }: Span, offset: number, state: GroupKey): void {
  if (type === 'invoke') state.resets.begin(op, offset);
  else if (type === 'fail') state.resets.refuse(op);
  else if (type === 'ok' && state.resets.end(op, index)) {
    move(state, offset);
    state.highestAccepted = Math.max(offset, state.highestAccepted);
  }
}

function assigned({ findings }: Evidence, event: AssignedEvent, index: number, stateOf: StateOf): void {
  for (const [key, position] of Object.entries(event.positions)) {
    const state = stateOf(event.group, key);
    state.start = Math.min(position, state.start ?? position);
    const { accepted } = state;
    const epoch = event.epochs[key] ?? 0;
    // A member that stood still hears late of what another has by now.
    if (epoch < state.epoch) continue;
    state.epoch = epoch;
    if (event.resets?.includes(key) === true) move(state, position);
    else if (accepted === undefined || position === accepted) state.suspect = undefined;
    else if (position > accepted && [...state.doubtful.values()].includes(position))
      state.accepted = state.highestAccepted = position;
    else if (state.resets.takeEffect(position, index)) move(state, position);
    else {
      convict(findings, state);
      const what = `${event.member} got ${state.name} at ${position}, the group is at ${accepted}`;
      state.suspect = { epoch, what };
      if (!state.resets.haveHappened) convict(findings, state);
    }
  }
}

function convict(findings: Evidence['findings'], state: GroupKey): void {
  if (state.suspect !== undefined) findings.add('reset-surprise', state.suspect.what);
  state.suspect = undefined;
}

/** Somebody put the group there: what lies between is nobody's. */
function move(state: GroupKey, position: number): void {
  const { accepted } = state;
  if (accepted !== undefined && position > accepted) state.excused.push({ from: accepted, to: position });
  state.accepted = position;
  state.suspect = undefined;
  // What was on its way came before it, or is refused.
  state.doubtful.clear();
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
  const log = order.log(state.key);
  for (const offset of log.offsets) {
    if (offset < start || given.has(offset)) continue;
    if (excused.some(({ from, to }) => from <= offset && offset < to)) continue;
    const what = `${state.name} is at ${highestAccepted}, and no member was given ${offset}`;
    if (offset < highestAccepted) findings.add('group-skip', what);
    else if (log.at(offset)?.state === 'ok') findings.add('group-unseen', what);
  }
}
