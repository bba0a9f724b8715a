/** How a command ends, as scripts see it. */
import { PartitaError } from '@partita/domain';

export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  unreachable: 3,
  notFound: 4,
  /** A time-out, or fewer records than asked for. */
  timedOut: 5,
  interrupted: 130,
} as const;

/** The arguments are wrong. The message says how to write them. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** What was named is not there. */
export class NotFoundError extends Error {
  override readonly name = 'NotFoundError';
}

export function exitCodeOf(error: unknown): number {
  if (error instanceof UsageError) return EXIT.usage;
  if (error instanceof NotFoundError) return EXIT.notFound;
  if (!(error instanceof PartitaError)) return EXIT.failed;
  if (error.reason === 'SERVICE_UNREACHABLE') return EXIT.unreachable;
  if (error.reason === 'TIMED_OUT') return EXIT.timedOut;
  return error.reason.endsWith('_NOT_FOUND') ? EXIT.notFound : EXIT.failed;
}
