/** What an inspection says about one thing on disk. */

/**
 * `ok`; `note`: worth knowing, the next start mends it or it does no harm; `damage`: recovery refuses it, or records or
 * promises are lost.
 */
export type Severity = 'ok' | 'note' | 'damage';

/** What was looked at. */
export type Check =
  | 'storage'
  | 'lock'
  | 'clean-shutdown'
  | 'checkpoint'
  | 'journal'
  | 'topic-config'
  | 'partition'
  | 'segment-header'
  | 'batch'
  | 'offsets'
  | 'records'
  | 'index'
  | 'snapshot'
  | 'log-end'
  | 'leftover';

/** One line of an inspection's result. */
export interface Finding {
  readonly severity: Severity;
  readonly check: Check;
  /** File or directory that it is about. */
  readonly path: string;
  /** Byte in the file, where there is one. */
  readonly position?: number | undefined;
  readonly message: string;
}

/** Takes findings as they come; the inspection waits for it, so that a slow reader is not flooded. */
export type Report = (finding: Finding) => Promise<void> | void;

/** Findings of one kind that are told about one file; the rest is counted. */
export const FINDING_COUNT_MAX = 20;
