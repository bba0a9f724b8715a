/** What every check looks at: the history, when each operation began, and the order of versions that follows from it. */
import { Findings } from './findings.ts';
import type { HistoryEvent } from './history.ts';
import { VersionOrder } from './version-order.ts';

export interface Evidence {
  readonly history: readonly HistoryEvent[];
  /** By index of an event: the index of its operation's invocation, or its own where there is none. */
  readonly invokedAt: Float64Array;
  readonly order: VersionOrder;
  /** What is wrong. */
  readonly findings: Findings;
  /** What is allowed and worth a look. */
  readonly remarks: Findings;
}

/** Finds what the order of versions alone gives away; the rest is for the checks. */
export function gatherEvidence(history: readonly HistoryEvent[]): Evidence {
  const findings = new Findings();
  const invokedAt = invocations(history);
  return { history, invokedAt, order: new VersionOrder(history, findings), findings, remarks: new Findings() };
}

function invocations(history: readonly HistoryEvent[]): Float64Array {
  const invokedAt = new Float64Array(history.length);
  const open = new Map<number, number>();
  for (const [index, { type, op }] of history.entries()) {
    invokedAt[index] = open.get(op) ?? index;
    if (type === 'invoke') open.set(op, index);
    else open.delete(op);
  }
  return invokedAt;
}
