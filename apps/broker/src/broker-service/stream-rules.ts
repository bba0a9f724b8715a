/** What both streams of the broker hold their clients to. */
import { HEARTBEAT_MS, PartitaError } from '@partita/domain';

/** A message that has no place where it came. */
export function outOfOrder(expected: string, received: string | undefined): PartitaError {
  const message = `expected ${expected}, got ${received ?? 'an empty message'}; \`initial\` comes first and only first`;
  return new PartitaError('STREAM_ORDER', message, { expected, received: received ?? '' });
}

/** A client that said nothing for too long. */
export function silent(quietMs: number): PartitaError {
  return new PartitaError(
    'TIMED_OUT',
    `nothing was heard for ${Math.round(quietMs)} ms; send a heartbeat every ${HEARTBEAT_MS} ms`,
    { deadline_ms: String(Math.round(quietMs)) },
  );
}
