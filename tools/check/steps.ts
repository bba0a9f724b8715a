/**
 * What `npm run verify` checks and `npm run fix` repairs: one list, so that the two are mirrors. Every command runs in
 * the root with node_modules/.bin first on the PATH.
 */

export interface VerifyStep {
  readonly name: string;
  readonly check: readonly [string, ...string[]];
  /** Repairs what `check` finds, where a machine can. */
  readonly fix?: readonly [string, ...string[]];
  /** A file that `check` needs, and what to do when it is missing. */
  readonly needs?: { readonly file: string; readonly advice: string };
  /** Killed and failed beyond this. */
  readonly secondsMax: number;
}

/** In order of what needs what: everything after the first step reads generated code. */
export const VERIFY_STEPS: readonly VerifyStep[] = [
  {
    name: 'generate',
    check: ['nx', 'run', 'protocol:generate'],
    fix: ['nx', 'run', 'protocol:generate'],
    secondsMax: 120,
  },
  { name: 'buf lint', check: ['buf', 'lint', 'proto'], secondsMax: 60 },
  {
    name: 'buf breaking',
    check: ['buf', 'breaking', 'proto', '--against', 'proto/baseline.binpb'],
    needs: {
      file: 'proto/baseline.binpb',
      advice: 'There is no accepted contract to compare with: run `npm run proto:accept` and commit the file.',
    },
    secondsMax: 60,
  },
  {
    name: 'buf format',
    check: ['buf', 'format', 'proto', '--diff', '--exit-code', '--exclude-path', 'proto/google'],
    fix: ['buf', 'format', 'proto', '--write', '--exclude-path', 'proto/google'],
    secondsMax: 60,
  },
  {
    name: 'typecheck',
    check: ['node', 'node_modules/typescript-native/bin/tsc', '-p', 'tsconfig.all.json'],
    secondsMax: 300,
  },
  {
    name: 'eslint',
    check: ['eslint', '.', '--max-warnings', '0'],
    fix: ['eslint', '.', '--fix', '--max-warnings', '0'],
    secondsMax: 300,
  },
  {
    name: 'prettier',
    check: ['prettier', '--check', '--log-level', 'warn', '.'],
    fix: ['prettier', '--write', '--log-level', 'warn', '.'],
    secondsMax: 120,
  },
  { name: 'knip', check: ['knip', '--no-progress', '--no-config-hints'], secondsMax: 120 },
];
