/** `elect`: one attempt at an election as a trace, with the partitions that it is about and what came of it. */
import type { ClusterState, ElectionPlan } from '@partita/cluster';
import { beginOperation, boundedNames } from '@partita/rpc';
import type { Operation, TracingMode } from '@partita/rpc';

/** `called`: an operator asked for it. `due`: leaders are missing. */
export function beginElection(
  tracing: TracingMode,
  plans: readonly ElectionPlan[],
  state: ClusterState,
  why: 'called' | 'due',
): Operation {
  const operation = beginOperation(tracing, 'elect', 'elect', { isCalled: why === 'called' });
  if (!operation.isRecorded) return operation;
  const topicIds = new Set(plans.map(({ topicId }) => topicId));
  const names = [...topicIds].map((topicId) => state.topicById(topicId)?.name ?? topicId);
  operation.set('partita.reason', why === 'called' ? 'operator' : 'leader_missing');
  operation.set('partita.partition_count', plans.length);
  operation.set('partita.topics', boundedNames(names));
  const [first] = plans;
  if (plans.length === 1 && first !== undefined) {
    operation.set('messaging.destination.partition.id', String(first.partition));
    operation.set('partita.epoch', first.epoch);
  }
  return operation;
}

/** Partitions that are left without a leader make it an error, with the reason of the first. */
export function endElection(
  operation: Operation,
  plans: readonly ElectionPlan[],
  failures: ReadonlyMap<ElectionPlan, string>,
): void {
  if (!operation.isRecorded) return;
  operation.set('partita.elected_count', plans.length - failures.size);
  const [why] = failures.values();
  if (why !== undefined) operation.fail(new Error(`${failures.size} of ${plans.length}: ${why}`));
}
