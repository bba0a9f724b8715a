/**
 * What a group accepts as its position: it never falls unless somebody resets it, and only the owner moves it. Accepted
 * means that the commit was ok; a refused one is the fence at work.
 */
import type { Evidence } from './evidence.ts';
import { GroupResets } from './group-resets.ts';
import type { AssignedEvent, CommitEvent } from './history.ts';
import { entryOf, Rising } from './rising.ts';

interface Tenure {
  readonly index: number;
  readonly member: string;
  readonly epoch: number;
}

interface GroupKey {
  /** The accepted position, resets included. */
  readonly accepted: Rising;
  /** Assignments, as they were told. */
  readonly tenures: Tenure[];
  readonly resets: GroupResets;
}

/** Finds commit-regress and zombie-commit. */
export function findGroupCommits(evidence: Evidence): void {
  const groupKeys = new Map<string, GroupKey>();
  const stateOf = (group: string, key: string): GroupKey =>
    entryOf(groupKeys, `${group} ${key}`, () => ({ accepted: new Rising(), tenures: [], resets: new GroupResets() }));
  for (const [index, event] of evidence.history.entries()) {
    if (event.f === 'commit' && event.member === undefined) reset(event, index, stateOf);
    else if (event.type !== 'ok') continue;
    else if (event.f === 'assigned') assigned(event, index, stateOf);
    else if (event.f === 'commit') {
      const invokedAt = evidence.invokedAt[index] ?? index;
      for (const [key, offset] of Object.entries(event.offsets)) {
        const state = stateOf(event.group, key);
        findRegress(evidence, event, { key, offset, invokedAt }, state);
        findZombie(evidence, event, { key, offset, invokedAt }, state);
        if (!state.resets.mayPrecede(invokedAt)) state.accepted.raise(index, offset);
      }
    }
  }
}

/** From outside of the group it is an operator's reset. */
function reset(event: CommitEvent, index: number, stateOf: (group: string, key: string) => GroupKey): void {
  for (const [key, offset] of Object.entries(event.offsets)) {
    const { accepted, resets } = stateOf(event.group, key);
    if (event.type === 'invoke') resets.begin(event.op, offset);
    else if (event.type === 'fail') resets.refuse(event.op);
    else if (event.type === 'ok' && resets.end(event.op, index)) accepted.reset(index, offset);
  }
}

function assigned(event: AssignedEvent, index: number, stateOf: (group: string, key: string) => GroupKey): void {
  for (const [key, epoch] of Object.entries(event.epochs)) {
    const { accepted, tenures, resets } = stateOf(event.group, key);
    tenures.push({ index, member: event.member, epoch });
    const position = event.positions[key];
    if (position === undefined) continue;
    const isTold = event.resets?.includes(key) === true;
    if (isTold || (position !== accepted.now && resets.takeEffect(position, index))) accepted.reset(index, position);
  }
}

interface Committed {
  readonly key: string;
  readonly offset: number;
  readonly invokedAt: number;
}

function findRegress(
  { findings }: Evidence,
  event: CommitEvent,
  { key, offset, invokedAt }: Committed,
  state: GroupKey,
): void {
  // A reset while the commit was under way may have lowered what it is held against.
  const before = Math.min(state.accepted.before(invokedAt) ?? -1, state.accepted.now ?? -1);
  if (offset < before)
    findings.add('commit-regress', `commit ${event.op} of ${event.group}: ${key} from ${before} back to ${offset}`);
}

function findZombie(
  { findings }: Evidence,
  event: CommitEvent,
  { key, invokedAt }: Committed,
  { tenures }: GroupKey,
): void {
  const epoch = event.epochs?.[key];
  const { member } = event;
  if (epoch === undefined || member === undefined) return;
  for (let at = tenures.length - 1; at >= 0; at -= 1) {
    const tenure = tenures[at];
    // Epochs need not grow in the list: who stood still hears late of what it had.
    if (tenure === undefined || tenure.epoch <= epoch) continue;
    if (tenure.member === member || tenure.index > invokedAt) continue;
    const what = `commit ${event.op} of ${event.group}: ${member} moved ${key} by epoch ${epoch}`;
    findings.add('zombie-commit', `${what}, ${tenure.member} had it since epoch ${tenure.epoch}`);
    return;
  }
}
