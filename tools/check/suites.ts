/** Runs the two tiers of suites with vitest: those beside the sources, and those of real processes in tools/e2e. */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT, runCommand } from './run-command.ts';
import { REPORT_FILE_VARIABLE, readReport } from './suite-report.ts';
import type { Outcome } from './summary.ts';

export type SuiteName = 'unit' | 'e2e';

export interface SuiteOptions {
  readonly minutesMax: number;
  /** Added to the environment of the tests. */
  readonly env: Readonly<Record<string, string>>;
}

/** Below .nx, which is ignored by git. */
const REPORTS = join(ROOT, '.nx/check');

export async function runSuite(name: SuiteName, { minutesMax, env }: SuiteOptions): Promise<Outcome> {
  mkdirSync(REPORTS, { recursive: true });
  const file = join(REPORTS, `${name}.json`);
  rmSync(file, { force: true });
  const result = await runCommand(
    [
      'vitest',
      'run',
      '--passWithNoTests',
      '--reporter=default',
      `--reporter=${join(import.meta.dirname, 'reporter.ts')}`,
    ],
    {
      secondsMax: minutesMax * 60,
      output: 'live',
      env: { ...env, [REPORT_FILE_VARIABLE]: file, PARTITA_TEST_E2E: name === 'e2e' ? 'on' : 'off' },
    },
  );
  const report = readReport(file);
  const failures = [...report.failed];
  if (!result.ok && (failures.length === 0 || report.unfinished.length > 0)) {
    const during = report.unfinished.length > 0 ? ` during ${report.unfinished.join(', ')}` : '';
    failures.push(`vitest: ${result.failure}${during}`);
  }
  return {
    name,
    durationMs: result.durationMs,
    passed: report.passed,
    failed: failures.length,
    skipped: report.skipped,
    failures,
  };
}
