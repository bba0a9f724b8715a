/** Which definite refusals of a batch are tried again by whoever carries it. */
import type { ErrorReason, PartitaError } from '@partita/domain';
import { outcomeOf, retryAdviceOf } from '@partita/rpc';

/** Certainly not stored, and may be later: what the client itself waits for, within its delivery time. */
export function mayPass(error: PartitaError): boolean {
  const advice = retryAdviceOf(error);
  return outcomeOf(error) === 'rejected' && (advice === 'BACKOFF' || advice === 'AFTER_DELAY' || advice === 'REFRESH');
}

/** What a pause or a new route mends soon. A gateway waits for no more than that: whatever else is refused, the client hears. */
export function mayPassSoon({ reason }: PartitaError): boolean {
  return SOON_REASONS.has(reason);
}

const SOON_REASONS: ReadonlySet<ErrorReason> = new Set<ErrorReason>([
  'NOT_LEADER',
  'LEADER_NOT_AVAILABLE',
  'REPLICA_NOT_FOUND',
  'SERVICE_UNREACHABLE',
  'SHUTTING_DOWN',
  'NOT_ENOUGH_REPLICAS',
  'QUEUE_FULL',
  'STORAGE_FAILED',
]);
