import { globSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { configDefaults, defineConfig } from 'vitest/config';
import type { TestProjectInlineConfiguration } from 'vitest/config';

const e2e = process.env['PARTITA_TEST_E2E'] === 'on';
/** The long forms of simulations are run as those of real processes are. */
const isLong = process.env['PARTITA_TEST_LONG'] === 'on';
const ROOT = import.meta.dirname;
const SPECS = '**/*.spec.ts';
const NOT_OURS = [...configDefaults.exclude, '**/dist/**', '**/.nx/**'];
const E2E = 'tools/e2e/**/*.spec.ts';

/** Replaces a module for all that its worker loads, or sets what all of it reads: tracing's provider, context, propagation. */
const CHANGES_ITS_WORKER = /\bvi\.mock\(|\bSpanRecorder\b|\btracing\.fixture\b|\bsetGlobal[A-Z]/;
const found = globSync('{apps,libs,tools}/**/*.spec.ts', { cwd: ROOT, exclude: (name) => name === 'node_modules' });
const alone = found.filter((file) => CHANGES_ITS_WORKER.test(readFileSync(join(ROOT, file), 'utf8')));

/**
 * Unit and in-process suites, beside their sources. They share workers, which have loaded the sources then: a third of the
 * time of all would go into that otherwise. Suites of real processes are in tools/e2e; they run only when
 * PARTITA_TEST_E2E=on, one file at a time, as `npm test` does.
 */
export default defineConfig({
  test: {
    fileParallelism: !e2e,
    // By itself vitest leaves a core free, which of two is half of the machine. Many suites wait for timers: one worker more
    // than there are cores for every two keeps the cores busy.
    maxWorkers: Math.ceil(1.5 * availableParallelism()),
    testTimeout: 20_000,
    hookTimeout: 60_000,
    projects: e2e
      ? [project('e2e', { include: isLong ? [E2E, 'tools/sim/**/*.spec.ts'] : [E2E], exclude: NOT_OURS })]
      : [
          project('shared', { exclude: [...NOT_OURS, E2E, ...alone], isolate: false }),
          project('alone', { include: alone, exclude: NOT_OURS }),
        ],
  },
});

function project(name: string, test: TestProjectInlineConfiguration['test']): TestProjectInlineConfiguration {
  return { extends: true, test: { name, include: [SPECS], ...test } };
}
