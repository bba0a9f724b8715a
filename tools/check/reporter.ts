/**
 * A vitest reporter that counts, and keeps the reasons of skips, which the built-in JSON reporter drops. It writes after
 * every file, so that a run which is stopped still tells what it had done.
 */
import { renameSync, writeFileSync } from 'node:fs';
import type { Reporter, TestModule } from 'vitest/node';
import { REPORT_FILE_VARIABLE, type SkippedTest, type SuiteReport } from './suite-report.ts';

export default class CountingReporter implements Reporter {
  #passed = 0;
  readonly #failed: string[] = [];
  readonly #skipped: SkippedTest[] = [];
  readonly #unfinished = new Set<string>();

  onTestModuleStart(testModule: TestModule): void {
    this.#unfinished.add(testModule.relativeModuleId);
    this.#write();
  }

  onTestModuleEnd(testModule: TestModule): void {
    const file = testModule.relativeModuleId;
    this.#unfinished.delete(file);
    for (const test of testModule.children.allTests()) {
      const result = test.result();
      const name = `${file} > ${test.fullName}`;
      if (result.state === 'passed') this.#passed += 1;
      else if (result.state === 'failed') this.#failed.push(name);
      else this.#skipped.push({ name, reason: 'note' in result ? (result.note ?? '') : '' });
    }
    // A file that throws while it is loaded, or a hook of a suite, fails without a failed test.
    for (const error of testModule.errors()) this.#failed.push(`${file}: ${error.message}`);
    for (const suite of testModule.children.allSuites()) {
      for (const error of suite.errors()) this.#failed.push(`${file} > ${suite.fullName}: ${error.message}`);
    }
    this.#write();
  }

  onTestRunEnd(_modules: readonly TestModule[], unhandledErrors: readonly { readonly message: string }[]): void {
    for (const error of unhandledErrors) this.#failed.push(`outside any test: ${error.message}`);
    this.#write();
  }

  #write(): void {
    const path = process.env[REPORT_FILE_VARIABLE];
    if (path === undefined) return;
    const report: SuiteReport = {
      passed: this.#passed,
      failed: this.#failed,
      skipped: this.#skipped,
      unfinished: [...this.#unfinished],
    };
    writeFileSync(`${path}.new`, JSON.stringify(report));
    renameSync(`${path}.new`, path);
  }
}
