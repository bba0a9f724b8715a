/** How streams of members are ended from here: by a message out of place, and by a server that stops. */
import { PartitaError } from '@partita/domain';

/** How long a draining server lets members finish before it ends their streams. */
export const DRAIN_GRACE_MS = 2000;

export function outOfOrder(expected: string, received: string): PartitaError {
  return new PartitaError('STREAM_ORDER', `expected ${expected}, received ${received}: initial comes first, and once`, {
    expected,
    received,
  });
}

/** The end of a stream whose server stops. */
export function draining(): PartitaError {
  return new PartitaError('SHUTTING_DOWN', 'this instance stops; open a stream elsewhere with the same member id');
}
