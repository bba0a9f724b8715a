/**
 * One owner at a time, by epochs: a member has a partition from the epoch of its assignment to the first one at which it
 * has it no more, exclusive. A member that vanished closes nothing, so of its tenure only the first epoch counts. Clocks
 * and arrival do not matter: a paused member learns late that it is out, and the fence of commits is what makes it harmless.
 */
import type { Evidence } from './evidence.ts';
import { entryOf } from './rising.ts';

interface Tenure {
  readonly member: string;
  readonly from: number;
  /** Exclusive. */
  to: number;
}

/** Finds double-owner. */
export function findDoubleOwners({ history, findings }: Evidence): void {
  const tenures = new Map<string, Tenure[]>();
  for (const event of history) {
    if (event.f === 'assigned') {
      for (const [key, from] of Object.entries(event.epochs)) {
        entryOf(tenures, `${event.group} ${key}`, (): Tenure[] => []).push({
          member: event.member,
          from,
          to: from + 1,
        });
      }
    } else if (event.f === 'revoked') {
      for (const [key, to] of Object.entries(event.epochs)) {
        const last = tenures.get(`${event.group} ${key}`)?.findLast(({ member }) => member === event.member);
        if (last !== undefined) last.to = Math.max(last.to, to);
      }
    }
  }
  for (const [name, list] of tenures) {
    let before: Tenure | undefined;
    for (const tenure of list.sort((one, other) => one.from - other.from)) {
      if (before !== undefined && before.member !== tenure.member && tenure.from < before.to) {
        const [group, key] = name.split(' ');
        const first = `${before.member} from epoch ${before.from} to ${before.to}`;
        findings.add('double-owner', `${key} of ${group}: ${first}, ${tenure.member} from ${tenure.from}`);
      }
      if (before === undefined || tenure.to >= before.to) before = tenure;
    }
  }
}
