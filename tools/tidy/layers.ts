/**
 * Who may import whom: the layer table as data. layers.spec.ts holds it against the project graph and the sources.
 * THINK HARD BEFORE CHANGING THIS FILE, and write an ADR: a new arrow here is a change of the architecture.
 *
 * Arrows are between layers. A project has exactly one `layer:*` tag, in its package.json. Specs may import `test`
 * from everywhere; nothing that ships may.
 */

/** Outside packages and Node built-ins that a layer (or one project, or one file) may import. */
export interface Outside {
  /** Package names; a trailing `/*` allows a whole scope, `*` everything. Not the built-ins. */
  readonly packages: readonly string[];
  /** Node built-ins without `node:`; `*` allows all. */
  readonly builtins: readonly string[];
}

/** One row of the table. */
export interface Layer extends Outside {
  /** Layers it may import. A layer may not import its own projects unless it is named here. */
  readonly imports: readonly LayerName[];
}

export type LayerName =
  | 'proto'
  | 'domain'
  | 'contract'
  | 'format'
  | 'core'
  | 'store'
  | 'telemetry'
  | 'wire'
  | 'process'
  | 'sdk'
  | 'app'
  | 'ui'
  | 'test'
  | 'tool';

const EVERY_LIBRARY: readonly LayerName[] = [
  'domain',
  'contract',
  'format',
  'core',
  'store',
  'telemetry',
  'wire',
  'process',
  'sdk',
];

export const LAYERS: Readonly<Record<LayerName, Layer>> = {
  // The .proto files: no code at all.
  proto: { imports: [], packages: [], builtins: [] },
  // The words of the system. No clock, timer, randomness or disk; lint says so at the line.
  domain: { imports: [], packages: [], builtins: [] },
  // Generated code and its face.
  contract: { imports: ['proto'], packages: ['@bufbuild/protobuf', '@grpc/grpc-js'], builtins: [] },
  // The bytes of a batch.
  format: {
    imports: ['domain'],
    packages: ['@node-rs/crc32', 'xxhash-wasm', 'lz4-napi'],
    builtins: ['zlib', 'buffer'],
  },
  // Pure state machines. Not the contract: generated types leak their defaults into logic; services convert at the edge.
  core: { imports: ['domain'], packages: [], builtins: [] },
  // Disk and Redis. Records are opaque here; their codecs belong to the cores.
  store: { imports: ['domain', 'format'], packages: [], builtins: ['*'] },
  // What is counted and measured, as plain numbers. Nothing of OpenTelemetry: exporting is the process's matter.
  telemetry: { imports: ['domain'], packages: [], builtins: [] },
  wire: {
    imports: ['domain', 'contract', 'telemetry'],
    packages: [
      '@grpc/grpc-js',
      'grpc-health-check',
      '@grpc/reflection',
      '@opentelemetry/api',
      // Reads and writes the wire format by hand where generated code would copy.
      '@bufbuild/protobuf',
    ],
    builtins: ['*'],
  },
  // What a process needs before it serves; the only importer of the OpenTelemetry SDK.
  process: {
    imports: ['domain', 'telemetry'],
    packages: ['@opentelemetry/*', 'pino', 'pino-pretty', 'commander'],
    builtins: ['*'],
  },
  // Published to users: no process set-up, no built-ins beyond compression.
  sdk: {
    imports: ['domain', 'contract', 'wire', 'format'],
    packages: ['@opentelemetry/api', '@grpc/grpc-js', 'uuid'],
    builtins: ['zlib'],
  },
  app: { imports: EVERY_LIBRARY, packages: ['*'], builtins: ['*'] },
  // On the SDK like any user, so that the SDK stays complete: the UI has no side door.
  ui: {
    imports: ['sdk', 'domain', 'contract', 'format', 'telemetry', 'wire', 'process'],
    packages: ['*'],
    builtins: ['*'],
  },
  test: { imports: ['domain', 'format', 'store'], packages: ['*'], builtins: ['*'] },
  // Never ships. Starts apps as processes, never imports them.
  tool: { imports: [...EVERY_LIBRARY, 'test', 'tool'], packages: ['*'], builtins: ['*'] },
};

/** More than its layer allows, for one project. Key: project name. */
export const PROJECT_EXTRAS: Readonly<Record<string, Outside>> = {
  'metadata-store': { packages: ['ioredis'], builtins: [] },
};

/** More than its layer allows, for one file. Key: path from the root; value: project names. */
export const FILE_EXTRAS: Readonly<Record<string, readonly string[]>> = {
  // Prints segment files of a stopped broker: the one place where the CLI looks below the API.
  'apps/cli/src/commands/log.ts': ['log'],
};

export function isLayerName(name: string): name is LayerName {
  return Object.hasOwn(LAYERS, name);
}

/** Whether `name` is allowed by a list of package names with `/*` and `*`. */
export function allows(list: readonly string[], name: string): boolean {
  return list.some(
    (entry) => entry === '*' || entry === name || (entry.endsWith('/*') && name.startsWith(entry.slice(0, -1))),
  );
}
