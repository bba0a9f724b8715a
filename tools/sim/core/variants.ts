/**
 * Variants of the program under simulation: a text of one source file replaced by another as the file is loaded, with no hook
 * in what ships. Each variant is an instance of its own of all modules that it may touch, so one process can hold many.
 */
import { registerHooks } from 'node:module';
import { readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { ROOT } from '@partita/tool-check/run-command.ts';
import type { RunOptions, RunResult } from '../seed-run.ts';

/** One change of the sources. */
export interface Variant {
  readonly name: string;
  /** Path from the root. */
  readonly file: string;
  /** Occurs exactly once in the file. */
  readonly from: string;
  readonly to: string;
}

/** What a variant may touch, and whatever imports that. */
const LOADED_ANEW = /^(libs\/(replication|cluster|groups)\/src|tools\/sim\/(core|groups))\//;

/** What runs a seed of the variant: a module's export of that name. */
export interface Entry {
  /** Path from the root. */
  readonly file: string;
  readonly name: string;
}

export type SeedRunner = (seed: number, options?: Pick<RunOptions, 'keepsTrace'>) => Promise<RunResult>;

const CORE: Entry = { file: 'tools/sim/core/run-seed.ts', name: 'runCoreSeed' };

const variants = new Map<string, Variant>();
const loaded = new Map<string, Promise<SeedRunner>>();

/** Why the variant cannot be made, or undefined. */
function variantFault({ file, from }: Variant): string | undefined {
  const count = readFileSync(join(ROOT, file), 'utf8').split(from).length - 1;
  return count === 1 ? undefined : `${file} holds ${count} times: ${from}`;
}

/** The simulation on a variant of the sources; loaded once. */
export function loadVariant(variant: Variant, entry: Entry = CORE): Promise<SeedRunner> {
  const key = `${variant.name} ${entry.name}`;
  const known = loaded.get(key);
  if (known !== undefined) return known;
  const loading = loadAnew(variant, entry);
  loaded.set(key, loading);
  return loading;
}

async function loadAnew(variant: Variant, entry: Entry): Promise<SeedRunner> {
  const fault = variantFault(variant);
  if (fault !== undefined) throw new RangeError(fault);
  if (variants.size === 0) registerHooks({ resolve, load });
  variants.set(variant.name, variant);
  const url = pathToFileURL(join(ROOT, entry.file));
  url.searchParams.set('variant', variant.name);
  const module = (await import(url.href)) as Readonly<Record<string, SeedRunner | undefined>>;
  const run = module[entry.name];
  if (run === undefined) throw new RangeError(`${entry.file} exports no ${entry.name}`);
  return run;
}

type Hooks = Parameters<typeof registerHooks>[0];

/** What a variant imports is of the same variant. */
const resolve: NonNullable<Hooks['resolve']> = (specifier, context, nextResolve) => {
  const resolved = nextResolve(specifier, context);
  const name = variantOf(context.parentURL);
  if (name === undefined || !LOADED_ANEW.test(pathOf(resolved.url))) return resolved;
  const url = new URL(resolved.url);
  url.searchParams.set('variant', name);
  return { ...resolved, url: url.href };
};

const load: NonNullable<Hooks['load']> = (url, context, nextLoad) => {
  const original = nextLoad(url, context);
  const variant = variants.get(variantOf(url) ?? '');
  if (variant === undefined || pathOf(url) !== variant.file) return original;
  const source = readFileSync(fileURLToPath(url), 'utf8');
  return { ...original, source: source.replace(variant.from, () => variant.to) };
};

function variantOf(url: string | undefined): string | undefined {
  return url?.startsWith('file:') === true ? (new URL(url).searchParams.get('variant') ?? undefined) : undefined;
}

function pathOf(url: string): string {
  return url.startsWith('file:') ? relative(ROOT, fileURLToPath(url)) : url;
}
