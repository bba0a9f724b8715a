import { PartitaError } from '@partita/domain';
import type { ErrorReason } from '@partita/domain';

/** Reason of the PartitaError that `run` throws, undefined when it returns; any other error passes through. */
export function reasonOf(run: () => unknown): ErrorReason | undefined {
  try {
    run();
  } catch (error) {
    if (error instanceof PartitaError) return error.reason;
    throw error;
  }
  return undefined;
}
