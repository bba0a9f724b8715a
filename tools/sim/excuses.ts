/** When an error is what an injected fault must lead to. */
import { PartitaError } from '@partita/domain';
import type { LogWorld } from './log-world.ts';

/** Faults so far when something began: those since may excuse its errors. */
export interface Excuses {
  readonly errorCount: number;
  readonly readFlipCount: number;
}

/** The reason of the product's error, or the code of the disk's at its bottom. */
export function reasonOf(error: unknown): string {
  if (error instanceof PartitaError) return error.reason;
  return codeOf(error) ?? 'unknown';
}

/** The disk's code at the bottom of the causes. */
function codeOf(error: unknown): string | undefined {
  for (let at = error; at instanceof Error; at = at.cause) {
    if ('code' in at && typeof at.code === 'string') return at.code;
  }
  return undefined;
}

/** True when the error comes from a fault since then, or from the end of the program's life. */
export function isExcused(world: LogWorld, error: unknown, since: Excuses): boolean {
  if (!world.disk.isRunning) return true;
  const code = codeOf(error);
  if ((code === 'EIO' || code === 'ENOSPC') && world.errorCount > since.errorCount) return true;
  const isFlip = error instanceof PartitaError && ['CORRUPT_BATCH', 'VERSION_NOT_SUPPORTED'].includes(error.reason);
  const cause = error instanceof Error && error.cause !== undefined && error.cause !== error ? error.cause : undefined;
  return (
    (isFlip && world.readFlipCount > since.readFlipCount) || (cause !== undefined && isExcused(world, cause, since))
  );
}
