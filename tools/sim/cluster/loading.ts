/**
 * Loads the production services into the simulation. The sources are those that ship; as they are loaded, what they import
 * of the outside world (gRPC, the disk) is replaced by a stand-in, a few sizes are made small so that a seed is cheap, and a
 * mutant's text is put in the place of the guard that it takes away. Each mutant has instances of its own of all modules.
 */
import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { ROOT } from '@partita/tool-check/run-command.ts';
import type { Variant } from '../core/variants.ts';
import type { RunOptions, RunResult } from '../seed-run.ts';

type Replacement = Omit<Variant, 'name'>;
export type ClusterRunner = (seed: number, options?: Pick<RunOptions, 'keepsTrace'>) => Promise<RunResult>;

/** Instances of their own for each mutant. Generated code is the same for all. */
const LOADED_ANEW = /^(apps\/(broker|coordinator)\/src|libs\/(?!protocol\/)[^/]+\/src|tools\/sim)\//;
/** Who is under simulation; the simulation itself sees the real things. */
const SIMULATED = /^(apps|libs)\//;

const STAND_INS = 'tools/sim/cluster/stand-ins';
/** By what is imported, and from where. */
const REPLACED: Readonly<Record<string, { readonly by: string; readonly importers: RegExp }>> = {
  '@grpc/grpc-js': { by: `${STAND_INS}/grpc.ts`, importers: SIMULATED },
  'node:fs/promises': { by: `${STAND_INS}/fs-promises.ts`, importers: /^apps\// },
  'libs/log/src/node-disk.ts': { by: `${STAND_INS}/node-disk.ts`, importers: SIMULATED },
};

/** Sizes of files that are made in full at each first start. */
const SMALL: readonly Replacement[] = [
  {
    file: 'libs/log/src/journal.ts',
    from: 'JOURNAL_BYTES = 16 * 1024 * 1024',
    to: 'JOURNAL_BYTES = 16 * 1024',
  },
  { file: 'libs/log/src/journal.ts', from: 'ZEROS_BYTES = 1024 * 1024', to: 'ZEROS_BYTES = 4 * 1024' },
  { file: 'libs/log/src/spare-file.ts', from: 'SPARE_BYTES = 1024 * 1024', to: 'SPARE_BYTES = 4 * 1024' },
];

const AS_IT_IS = 'as-it-is';
const changes = new Map<string, readonly Replacement[]>();
const loaded = new Map<string, Promise<ClusterRunner>>();

/** What runs a seed on the sources, or on a mutant of them; loaded once. */
export function loadCluster(mutant?: Variant): Promise<ClusterRunner> {
  const key = mutant?.name ?? AS_IT_IS;
  const known = loaded.get(key);
  if (known !== undefined) return known;
  const loading = loadAnew(key, mutant === undefined ? SMALL : [...SMALL, mutant]);
  loaded.set(key, loading);
  return loading;
}

async function loadAnew(key: string, replacements: readonly Replacement[]): Promise<ClusterRunner> {
  for (const { file, from } of replacements) {
    const count = readFileSync(join(ROOT, file), 'utf8').split(from).length - 1;
    if (count !== 1) throw new RangeError(`${file} holds ${count} times: ${from}`);
  }
  if (changes.size === 0) registerHooks({ resolve, load });
  changes.set(key, replacements);
  const { runClusterSeed } = (await importOf('tools/sim/cluster/run-seed.ts', key)) as {
    readonly runClusterSeed: ClusterRunner;
  };
  return runClusterSeed;
}

/** The module of that path, of the instances under `key`. */
async function importOf(path: string, key: string): Promise<unknown> {
  const url = pathToFileURL(join(ROOT, path));
  url.searchParams.set('cluster', key);
  return import(url.href);
}

type Hooks = Parameters<typeof registerHooks>[0];

const resolve: NonNullable<Hooks['resolve']> = (specifier, context, nextResolve) => {
  const key = keyOf(context.parentURL);
  if (key === undefined) return nextResolve(specifier, context);
  const resolved = nextResolve(specifier, context);
  const replaced = REPLACED[specifier] ?? REPLACED[pathOf(resolved.url)];
  const standIn = replaced?.importers.test(pathOf(context.parentURL ?? '')) === true ? replaced.by : undefined;
  const path = standIn ?? pathOf(resolved.url);
  if (!LOADED_ANEW.test(path)) return resolved;
  const url = standIn === undefined ? new URL(resolved.url) : pathToFileURL(join(ROOT, standIn));
  url.searchParams.set('cluster', key);
  return { ...resolved, url: url.href, format: 'module-typescript' };
};

const load: NonNullable<Hooks['load']> = (url, context, nextLoad) => {
  const original = nextLoad(url, context);
  const here = changes.get(keyOf(url) ?? '')?.filter(({ file }) => file === pathOf(url)) ?? [];
  if (here.length === 0) return original;
  let source = readFileSync(fileURLToPath(url), 'utf8');
  for (const { from, to } of here) source = source.replace(from, () => to);
  return { ...original, source };
};

function keyOf(url: string | undefined): string | undefined {
  return url?.startsWith('file:') === true ? (new URL(url).searchParams.get('cluster') ?? undefined) : undefined;
}

function pathOf(url: string): string {
  return url.startsWith('file:') ? relative(ROOT, fileURLToPath(url)) : url;
}
