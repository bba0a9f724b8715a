import { join } from 'node:path';
import { configDefaults, defineConfig } from 'vitest/config';

const e2e = process.env['PARTITA_TEST_E2E'] === 'on';

/**
 * Unit and in-process suites, beside their sources. Suites of real processes are in tools/e2e; they run only when
 * PARTITA_TEST_E2E=on, one file at a time, as `npm test` does.
 */
export default defineConfig({
  test: {
    include: ['**/*.spec.ts'],
    exclude: [
      ...configDefaults.exclude,
      '**/dist/**',
      '**/.nx/**',
      ...(e2e ? [] : [join(import.meta.dirname, 'tools/e2e/**')]),
    ],
    fileParallelism: !e2e,
    // By itself vitest leaves a core free, which of two is half of the machine.
    maxWorkers: '100%',
    testTimeout: 20_000,
    hookTimeout: 60_000,
  },
});
