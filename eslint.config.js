// The only lint file. The rules guard what STYLE.md asks for; layers and their outside packages are data in
// tools/tidy/layers.ts, which the lint rules for pure code below repeat at the line where they are broken.
import { basename } from 'node:path';
import tseslint from 'typescript-eslint';

/** Two rules of the house that no plugin has. */
const house = {
  rules: {
    'file-name': {
      meta: {
        type: 'problem',
        schema: [],
        messages: { vague: 'Name the file by the one concept it holds, not "{{name}}".' },
      },
      create: (context) => ({
        Program(node) {
          const name = basename(context.filename).split('.')[0];
          if (/^(utils?|helpers?|common|misc|shared|types|interfaces|constants|enums)$/.test(name)) {
            context.report({ node, messageId: 'vague', data: { name } });
          }
        },
      }),
    },
    'reasoned-disable': {
      meta: { type: 'problem', schema: [], messages: { reason: 'Say why: `eslint-disable... rule -- reason`.' } },
      create: (context) => ({
        Program() {
          for (const comment of context.sourceCode.getAllComments()) {
            if (/^\s*eslint-disable/.test(comment.value) && !/ -- \S/.test(comment.value)) {
              context.report({ loc: comment.loc, messageId: 'reason' });
            }
          }
        },
      }),
    },
  },
};

const SPECS = ['**/*.spec.ts', '**/*.conformance.ts', '**/{testdata,testing}/**/*.ts', 'tools/e2e/**/*.ts'];

/** Code without I/O, clock, timer or randomness: what it needs of them comes in as an argument (domain/ports.ts). */
const PURE = ['libs/{domain,replication,cluster,groups}/src/**/*.ts'];

/** Where the environment may be read: the parsers of configuration, and programs that a person starts. */
const READS_ENVIRONMENT = [
  'libs/runtime/src/{config,telemetry,register}*.ts',
  'libs/runtime/src/{config,telemetry}/**/*.ts',
  'apps/*/src/{main,config}.ts',
  'apps/cli/**/*.ts',
  'tools/**/*.ts',
  'vitest.config.ts',
  ...SPECS,
];

const importPatterns = [
  { regex: '^@partita/[^/]+/src(/|$)', message: 'Import a workspace package by its name: its exports are its face.' },
  { regex: '^\\.\\./\\.\\./', message: 'At most one `../`: move the file, or import the package by name.' },
];
const indexPattern = {
  regex: '^\\.\\.?/(.*/)?index(\\.ts)?$',
  message: 'Inside a package import the file, never the index.',
};
const environment = {
  object: 'process',
  property: 'env',
  message: 'Configuration is parsed once, in a config file, and passed on as a frozen object.',
};
const portMessage = 'Pure code: take it as an argument (a port of @partita/domain).';

const syntax = [
  { selector: 'ExportAllDeclaration', message: 'List the names: a face is an explicit list.' },
  {
    selector: 'TSEnumDeclaration',
    message: 'Use an `as const` object or a union: Node strips types, it compiles no enums.',
  },
  { selector: 'TSParameterProperty', message: 'Declare the field: Node strips types only.' },
  { selector: 'Decorator', message: 'No decorators.' },
];

export default tseslint.config(
  {
    ignores: ['**/node_modules/', '**/dist/', 'libs/protocol/src/gen*/', '.nx/', '.partita/', 'coverage/'],
  },
  {
    files: ['**/*.{js,ts}'],
    extends: [tseslint.configs.strictTypeChecked],
    plugins: { house },
    linterOptions: { reportUnusedDisableDirectives: 'error', reportUnusedInlineConfigs: 'error' },
    languageOptions: {
      parserOptions: {
        project: './tsconfig.all.json',
        tsconfigRootDir: import.meta.dirname,
      },
    },
    rules: {
      'house/file-name': 'error',
      'house/reasoned-disable': 'error',

      // Size: the reader's limits.
      'max-lines': ['error', { max: 400 }],
      'max-lines-per-function': ['error', { max: 70 }],
      // A switch counts once: a table of one-line cases is easy to read.
      complexity: ['error', { max: 15, variant: 'modified' }],
      'max-params': ['error', 5],

      // Boundaries.
      'no-restricted-syntax': ['error', ...syntax],
      'no-restricted-imports': [
        'error',
        {
          patterns: [...importPatterns, indexPattern],
          paths: [{ name: 'node:process', importNames: ['env'], message: environment.message }],
        },
      ],
      'no-restricted-properties': ['error', environment],
      'no-console': 'error',

      // Bugs that the type checker does not see.
      eqeqeq: 'error',
      'no-self-compare': 'error',
      'no-unreachable-loop': 'error',
      'no-constant-binary-expression': 'error',
      'no-unsafe-finally': 'error',
      'no-loss-of-precision': 'error',
      'default-case-last': 'error',
      'no-else-return': 'error',
      'object-shorthand': 'error',
      'no-useless-rename': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_', varsIgnorePattern: '^_', caughtErrors: 'none' },
      ],

      // Kept where they find bugs, relaxed where they only make noise.
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      '@typescript-eslint/no-confusing-void-expression': [
        'error',
        { ignoreArrowShorthand: true, ignoreVoidReturningFunctions: true },
      ],
      '@typescript-eslint/no-unnecessary-condition': [
        'error',
        { allowConstantLoopConditions: 'only-allowed-literals' },
      ],
      // A port's in-memory twin is async without awaiting.
      '@typescript-eslint/require-await': 'off',
      // `void | Promise<void>` is how a callback says that it may be either.
      '@typescript-eslint/no-invalid-void-type': 'off',
      // A type parameter used once still names the caller's type in generic gRPC glue.
      '@typescript-eslint/no-unnecessary-type-parameters': 'off',
      '@typescript-eslint/no-unnecessary-type-arguments': 'off',
      // The only enums are of libraries (gRPC status codes), and those meet numbers from the wire.
      '@typescript-eslint/no-unsafe-enum-comparison': 'off',
      '@typescript-eslint/no-unsafe-enum-assignment': 'off',
      '@typescript-eslint/no-empty-function': 'off',
    },
  },
  {
    files: PURE,
    ignores: SPECS,
    rules: {
      'no-restricted-globals': [
        'error',
        ...[
          'Date',
          'performance',
          'setTimeout',
          'setInterval',
          'setImmediate',
          'clearTimeout',
          'clearInterval',
          'process',
          'crypto',
          'fetch',
          'console',
          'Buffer',
        ].map((name) => ({ name, message: portMessage })),
      ],
      'no-restricted-properties': ['error', environment, { object: 'Math', property: 'random', message: portMessage }],
      'no-restricted-imports': [
        'error',
        { patterns: [...importPatterns, indexPattern, { regex: '^node:', message: portMessage }] },
      ],
    },
  },
  { files: READS_ENVIRONMENT, rules: { 'no-restricted-properties': 'off' } },
  { files: ['apps/cli/**/*.ts', 'tools/**/*.ts'], rules: { 'no-console': 'off' } },
  {
    files: SPECS,
    rules: {
      // A spec may import the index: it proves the face.
      'no-restricted-imports': ['error', { patterns: importPatterns }],
      'max-lines': 'off',
      'max-lines-per-function': 'off',
      complexity: 'off',
      'max-params': 'off',
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/unbound-method': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-confusing-void-expression': 'off',
    },
  },
  {
    files: ['**/*.js'],
    extends: [tseslint.configs.disableTypeChecked],
    languageOptions: { globals: { process: 'readonly' } },
  },
);
