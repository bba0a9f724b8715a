/** Peers name their cluster in each call: an order for another one must change nothing here. */
import { PartitaError } from '@partita/domain';

/** Throws WRONG_CLUSTER unless the caller's cluster is this one. */
export function checkCluster(expected: string, actual: string): void {
  if (actual === expected) return;
  const message = `this broker belongs to cluster ${expected}, not ${actual}; check the addresses in the configuration`;
  throw new PartitaError('WRONG_CLUSTER', message, { expected, actual });
}
