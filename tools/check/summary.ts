/** What a check prints at its end. Its last line is `N passed, N failed`; CI reads that line. */
import type { SkippedTest } from './suite-report.ts';

/** One line of the summary: a verify step, which counts as one, or a suite, which counts its tests. */
export interface Outcome {
  readonly name: string;
  readonly durationMs: number;
  readonly passed: number;
  readonly failed: number;
  readonly skipped: readonly SkippedTest[];
  /** Why it failed, in lines; empty when it did not. */
  readonly failures: readonly string[];
}

function countsOf({ passed, failed, skipped }: Outcome): string {
  if (passed + failed <= 1 && skipped.length === 0) return '';
  return `  ${passed} passed, ${failed} failed${skipped.length > 0 ? `, ${skipped.length} skipped` : ''}`;
}

export function formatSummary(outcomes: readonly Outcome[]): string {
  const width = Math.max(0, ...outcomes.map(({ name }) => name.length));
  const lines = ['', 'Summary'];
  for (const outcome of outcomes) {
    const seconds = (outcome.durationMs / 1000).toFixed(1).padStart(7);
    const verdict = outcome.failed > 0 ? 'FAILED' : 'ok    ';
    lines.push(`  ${outcome.name.padEnd(width)}  ${verdict} ${seconds} s${countsOf(outcome)}`);
    lines.push(...outcome.failures.map((failure) => `      ${failure.split('\n')[0] ?? ''}`));
  }
  const skipped = outcomes.flatMap((outcome) => outcome.skipped);
  if (skipped.length > 0) {
    lines.push('', 'Skipped');
    lines.push(...skipped.map(({ name, reason }) => `  ${name}: ${reason === '' ? 'no reason given' : reason}`));
  }
  const passed = outcomes.reduce((sum, outcome) => sum + outcome.passed, 0);
  const failed = outcomes.reduce((sum, outcome) => sum + outcome.failed, 0);
  lines.push('', `${passed} passed, ${failed} failed`);
  return `${lines.join('\n')}\n`;
}
