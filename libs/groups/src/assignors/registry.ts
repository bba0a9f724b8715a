/** The assignors by name, and which one a group uses. */
import { PartitaError } from '@partita/domain';
import type { Group } from '../group-state.ts';
import type { Assignor } from './assignor.ts';
import { assignRange } from './range.ts';
import { assignSticky } from './sticky.ts';
import { assignUniform } from './uniform.ts';

const BY_NAME: ReadonlyMap<string, Assignor> = new Map([
  ['sticky', assignSticky],
  ['range', assignRange],
  ['uniform', assignUniform],
]);

/** Names of the assignors; the first is the default. */
export const ASSIGNORS: readonly string[] = [...BY_NAME.keys()];
export const ASSIGNOR_DEFAULT = 'sticky';

/** Refuses a name that a member asks for; empty is any. */
export function checkAssignor(name: string): void {
  if (name === '' || BY_NAME.has(name)) return;
  throw new PartitaError('INVALID_REQUEST', `there is no assignor "${name}"; use one of: ${ASSIGNORS.join(', ')}`, {
    field: 'assignor',
    value: name,
    range: ASSIGNORS.join('|'),
  });
}

/**
 * The assignor that most members name. Among equals the one in use stays, so that a group does not turn to and fro, then
 * the first of the list; when nobody names one it is the one in use. Every member that names one can so be rolled over to
 * another, process by process, and the group changes once, half way.
 */
export function assignorNameOf(group: Group): string {
  const votes = new Map<string, number>();
  for (const { assignor } of group.members.values()) {
    if (BY_NAME.has(assignor)) votes.set(assignor, (votes.get(assignor) ?? 0) + 1);
  }
  const used = group.value?.assignor ?? '';
  let chosen = BY_NAME.has(used) ? used : ASSIGNOR_DEFAULT;
  let most = votes.get(chosen) ?? 0;
  for (const name of ASSIGNORS) {
    const count = votes.get(name) ?? 0;
    if (count <= most) continue;
    chosen = name;
    most = count;
  }
  return chosen;
}

export function assignorOf(group: Group): Assignor {
  return BY_NAME.get(assignorNameOf(group)) ?? assignSticky;
}
