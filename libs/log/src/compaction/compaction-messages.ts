/** What a broker and its compaction process say to each other. An Error of ours does not cross: its parts do. */
import { InvariantError, PartitaError } from '@partita/domain';
import type { ErrorMetadata, ErrorReason } from '@partita/domain';
import { diskErrorCode } from '../disk.ts';
import type { CompactionPlan, CompactionResult } from './compaction-plan.ts';

/** To the process. One run at a time; a cancelled one still answers. */
export type CompactionOrder = { readonly kind: 'run'; readonly plan: CompactionPlan } | { readonly kind: 'cancel' };

/** From the process, one per run. */
export type CompactionAnswer =
  | { readonly kind: 'done'; readonly result: CompactionResult }
  | { readonly kind: 'failed'; readonly fault: CompactionFault };

/** A PartitaError in transit. */
export interface CompactionFault {
  readonly reason: ErrorReason;
  readonly message: string;
  readonly metadata: ErrorMetadata;
}

/** The error as it crosses. Errors of the disk become STORAGE_FULL or STORAGE_FAILED, anything unknown INTERNAL. */
export function faultOf(error: unknown, directory: string): CompactionFault {
  if (error instanceof PartitaError) {
    return { reason: error.reason, message: error.message, metadata: error.metadata };
  }
  const why = error instanceof Error ? error.message : String(error);
  const code = diskErrorCode(error);
  const isDisk = code !== undefined && !(error instanceof InvariantError);
  const reason = code === 'ENOSPC' ? 'STORAGE_FULL' : isDisk ? 'STORAGE_FAILED' : 'INTERNAL';
  return {
    reason,
    message: `compaction of ${directory} failed: ${why}; its log is as it was`,
    metadata: { directory, ...(code === undefined ? {} : { code }) },
  };
}
