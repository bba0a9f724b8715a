/** A commit that its caller waits for: tried again while the failure may pass. */
import { DEADLINE_MS_MAX } from '@partita/domain';
import type { PartitaError } from '@partita/domain';
import { isRetryable } from '@partita/rpc';
import { backoffDelayMs } from '@partita/rpc/client';
import { clientError } from './client-error.ts';
import { JITTER } from './jitter.ts';
import { pause } from './pause.ts';

/** How long a static member waits for its last commit. */
export const COMMIT_MS_MAX_AT_CLOSE = 3000;

/** Rejects with the ClientError that does not pass, or is there when the time is over or the consumer is. */
export async function commitUntil(
  commit: () => Promise<PartitaError | undefined>,
  isOver: () => boolean,
): Promise<void> {
  const untilMs = performance.now() + DEADLINE_MS_MAX;
  for (let attempt = 0; ; attempt += 1) {
    const error = await commit();
    if (error === undefined) return;
    const mayPass = isRetryable(error) || error.reason === 'CANCELLED';
    if (!mayPass || error.reason === 'STALE_GENERATION' || isOver() || performance.now() > untilMs)
      throw clientError(error);
    await pause(backoffDelayMs(attempt, JITTER));
  }
}
