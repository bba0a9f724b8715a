/** What the SDK throws: the named error of the cluster, with what a caller has to know to go on. */
import { asPartitaError, PartitaError } from '@partita/domain';
import type { ErrorReason } from '@partita/domain';
import { isRetryable, outcomeOf } from '@partita/rpc';
import type { Outcome } from '@partita/rpc';

/** `reason` says what happened, `message` what to do, `metadata` has the parts. */
export class ClientError extends PartitaError {
  /** `rejected`: it certainly had no effect. `unknown`: it may have had its effect; sending it again may do it twice. */
  readonly outcome: Outcome;
  /** True when the same request may succeed later. */
  readonly retryable: boolean;

  constructor(error: PartitaError) {
    super(error.reason, error.message, error.metadata, {
      cause: error,
      ...(error.retryAfterMs === undefined ? {} : { retryAfterMs: error.retryAfterMs }),
    });
    this.outcome = outcomeOf(error);
    this.retryable = isRetryable(error);
  }
}

/** Anything thrown, as a ClientError. */
export function clientError(thrown: unknown): ClientError {
  if (thrown instanceof ClientError) return thrown;
  if (thrown instanceof PartitaError) return new ClientError(thrown);
  if (thrown instanceof Error)
    return new ClientError(new PartitaError('INTERNAL', thrown.message, {}, { cause: thrown }));
  return new ClientError(asPartitaError(thrown));
}

/** A ClientError made by the SDK itself. */
export function refused(
  reason: ErrorReason,
  message: string,
  metadata: Readonly<Record<string, string>> = {},
): ClientError {
  return new ClientError(new PartitaError(reason, message, metadata));
}
