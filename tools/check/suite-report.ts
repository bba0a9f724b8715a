/** What a test run leaves behind for the summary: written by reporter.ts inside vitest, read by the check. */
import { readFileSync } from 'node:fs';

/** Where the reporter writes. */
export const REPORT_FILE_VARIABLE = 'PARTITA_TEST_REPORT';

export interface SkippedTest {
  readonly name: string;
  /** What the test gave as its reason; empty when it gave none. */
  readonly reason: string;
}

export interface SuiteReport {
  readonly passed: number;
  /** Names of failed tests, of files that could not be loaded, and of errors outside any test. */
  readonly failed: readonly string[];
  readonly skipped: readonly SkippedTest[];
  /** Files that had begun but not ended when the report was written: what hung, if the run was stopped. */
  readonly unfinished: readonly string[];
}

export const EMPTY_REPORT: SuiteReport = { passed: 0, failed: [], skipped: [], unfinished: [] };

/** The report, or an empty one when the run ended before it wrote any. */
export function readReport(path: string): SuiteReport {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as SuiteReport;
  } catch {
    return EMPTY_REPORT;
  }
}
