/**
 * Holds a history against what a log and its groups promise; after the checker of jepsen.tests.kafka. Time and memory are
 * linear in the history, but for sorting. The names of what it finds are explained in findings.ts.
 */
import { gatherEvidence } from './evidence.ts';
import type { Anomalies } from './findings.ts';
import { findGroupCommits } from './group-commits.ts';
import { findGroupDelivery } from './group-delivery.ts';
import type { HistoryEvent } from './history.ts';
import { valuesOf } from './history.ts';
import { findLoss } from './loss.ts';
import { findDoubleOwners } from './ownership.ts';
import { findPollOrder } from './poll-order.ts';
import { findRealTime } from './real-time.ts';
import { findRequests } from './requests.ts';
import { findSendOrder } from './send-order.ts';
import { findSessions } from './sessions.ts';

export interface Verdict {
  /** Operations begun, and notes. */
  readonly operationCount: number;
  /** Values by the outcome of their sends, repeats of requests too. */
  readonly ackedCount: number;
  readonly failedCount: number;
  readonly unknownCount: number;
  /** Records handed out by ok polls. */
  readonly readCount: number;
  /** Acknowledged values that nobody got. */
  readonly unseenCount: number;
  /** Empty for a good history. */
  readonly anomalies: Anomalies;
  /** Steps that a group may make between the polls of a member. */
  readonly remarks: Anomalies;
  /** By key: the longest time from an acknowledgement to the first poll that returned the value. */
  readonly lagMsMaxByKey: Readonly<Record<string, number>>;
}

/** The history is whole, and its events are in the order in which they happened. */
export function checkHistory(history: readonly HistoryEvent[]): Verdict {
  const evidence = gatherEvidence(history);
  const visibility = findLoss(evidence);
  findPollOrder(evidence);
  findSendOrder(evidence);
  findSessions(evidence);
  findRequests(evidence);
  findRealTime(evidence);
  findGroupCommits(evidence);
  findDoubleOwners(evidence);
  findGroupDelivery(evidence);
  return {
    ...countOutcomes(history),
    ...visibility,
    readCount: evidence.order.readCount,
    anomalies: evidence.findings.anomalies,
    remarks: evidence.remarks.anomalies,
  };
}

function countOutcomes(history: readonly HistoryEvent[]) {
  let [operationCount, sentCount, ackedCount, failedCount] = [0, 0, 0, 0];
  for (const event of history) {
    const isNote = event.f === 'assigned' || event.f === 'revoked' || event.f === 'crash';
    if (event.type === 'invoke' || isNote) operationCount += 1;
    if (event.f !== 'send') continue;
    const { length } = valuesOf(event);
    if (event.type === 'invoke') sentCount += length;
    else if (event.type === 'ok') ackedCount += length;
    else if (event.type === 'fail') failedCount += length;
  }
  return { operationCount, ackedCount, failedCount, unknownCount: sentCount - ackedCount - failedCount };
}
