/** Runs the suites of an area in their long form, and reads what they tell: tests by vitest, figures by tools/e2e/figures.ts. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCommand } from '@partita/tool-check/run-command.ts';
import type { Area } from './area.ts';

export interface TestResult {
  readonly name: string;
  readonly status: string;
}

export interface Figure {
  readonly name: string;
  readonly value: number | string;
}

/** A row of a table: those with the same head make one. */
export interface FigureRow {
  readonly head: readonly string[];
  readonly cells: readonly string[];
}

export interface SuiteResults {
  readonly passed: boolean;
  readonly seconds: number;
  /** Why the run failed as a whole; empty when it did not. */
  readonly failure: string;
  readonly tests: readonly TestResult[];
  readonly figures: readonly Figure[];
  readonly rows: readonly FigureRow[];
}

/** What vitest's JSON reporter writes, as far as it is read here. */
interface VitestReport {
  readonly testResults: readonly {
    readonly assertionResults: readonly { readonly fullName: string; readonly status: string }[];
  }[];
}

export async function runSuites(area: Area): Promise<SuiteResults> {
  const folder = mkdtempSync(join(tmpdir(), 'partita-prove-'));
  const report = join(folder, 'report.json');
  const figures = join(folder, 'figures.jsonl');
  try {
    const files = area.suites.map(specFile);
    const only = area.tests === undefined ? [] : ['--testNamePattern', area.tests];
    const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
    const result = await runCommand(['vitest', 'run', ...reporters, ...only, ...files], {
      secondsMax: area.minutesMax * 60,
      output: 'live',
      env: { PARTITA_TEST_E2E: 'on', PARTITA_TEST_LONG: 'on', PARTITA_TEST_FIGURES: figures },
    });
    const tests = readTests(report);
    return {
      passed: result.ok && tests.some(({ status }) => status === 'passed'),
      seconds: result.durationMs / 1000,
      failure: result.failure,
      tests,
      ...readFigures(figures),
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Path of a suite's spec file from the root. */
export function specFile(suite: string): string {
  return suite.endsWith('.spec.ts') ? suite : `tools/e2e/${suite}.spec.ts`;
}

function readTests(path: string): TestResult[] {
  if (!existsSync(path)) return [];
  const { testResults } = JSON.parse(readFileSync(path, 'utf8')) as VitestReport;
  return testResults.flatMap(({ assertionResults }) =>
    assertionResults.map(({ fullName, status }) => ({ name: fullName, status })),
  );
}

function readFigures(path: string): { figures: Figure[]; rows: FigureRow[] } {
  const lines = existsSync(path) ? readFileSync(path, 'utf8').split('\n') : [];
  const told = lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Figure | FigureRow);
  return { figures: told.filter((line) => 'name' in line), rows: told.filter((line) => 'head' in line) };
}
