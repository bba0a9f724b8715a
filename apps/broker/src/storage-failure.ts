/** Errors of the operating system, as those are told who asked for a change of what is stored. */
import { PartitaError } from '@partita/domain';
import { diskErrorCode } from '@partita/log';

/** Any other error as it is. A disk that fails is no bug of whoever asked for the change; repeating it completes what was begun. */
export function asStorageFailure(error: unknown): unknown {
  const code = diskErrorCode(error);
  if (code === undefined) return error;
  const reason = code === 'ENOSPC' ? 'STORAGE_FULL' : 'STORAGE_FAILED';
  return new PartitaError(
    reason,
    `the disk did not take the change (${code}): see to it and repeat`,
    {},
    { cause: error },
  );
}
