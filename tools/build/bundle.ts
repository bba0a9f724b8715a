/**
 * `node tools/build/bundle.ts <project>` bundles <project>/src/main.ts to <project>/dist/main.js for container images.
 *
 * Workspace packages are bundled from their sources (Node strips no types below node_modules); npm packages stay
 * external, because natives cannot be bundled and tracing hooks must see the real modules. A file that a source reads
 * by `new URL('./x', import.meta.url)` is copied, so that the same expression finds it beside the bundle. The entry of a
 * process, `fork(new URL('./x.ts', import.meta.url))`, is bundled like main.ts, and named as its bundle: `./x.js`.
 */
import { cpSync, readFileSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { type Plugin, build } from 'esbuild';

const ASSET = /new URL\(\s*'(\.\/[^']+)',\s*import\.meta\.url\s*\)/g;
const FORKED = /(\bfork\(\s*new URL\(\s*')(\.\/[^']+)\.ts(?=',\s*import\.meta\.url\s*\))/g;

const npmExternal: Plugin = {
  name: 'npm-external',
  setup(builder) {
    builder.onResolve({ filter: /^[^./]/ }, ({ kind, path }) =>
      kind === 'entry-point' || path.startsWith('@partita/') ? undefined : { path, external: true },
    );
  },
};

/** Makes sources start the bundles of their other processes. */
const forkedBundles: Plugin = {
  name: 'forked-bundles',
  setup(builder) {
    builder.onLoad({ filter: /\.ts$/ }, async ({ path }) => {
      const source = await readFile(path, 'utf8');
      return { contents: source.replace(FORKED, '$1$2.js'), loader: 'ts' };
    });
  },
};

/** Bundles one entry; returns the paths of the sources that are in it. */
async function bundle(entry: string, outfile: string): Promise<string[]> {
  const { metafile } = await build({
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    sourcemap: true,
    metafile: true,
    plugins: [npmExternal, forkedBundles],
    logLevel: 'warning',
  });
  return Object.keys(metafile.inputs).map((path) => resolve(path));
}

/** What was put where. Two different files at one place are an error. */
const taken = new Map<string, string>();

/** True when `from` is to be put at `to`, false when it is there. */
function take(from: string, to: string): boolean {
  const owner = taken.get(to);
  if (owner !== undefined && owner !== from) {
    throw new Error(`${owner} and ${from} would both become ${to}: rename one of the two`);
  }
  taken.set(to, from);
  return owner === undefined;
}

/** Bundles the entry to `outfile`, and brings the processes and other files that its sources name. */
async function bundleWithFiles(entry: string, outfile: string): Promise<void> {
  if (!take(entry, outfile)) return;
  const dist = dirname(outfile);
  for (const source of await bundle(entry, outfile)) {
    const text = readFileSync(source, 'utf8');
    const forked = new Set(Array.from(text.matchAll(FORKED), ([, , stem = '']) => `${stem}.ts`));
    for (const [, relative = ''] of text.matchAll(ASSET)) {
      const from = resolve(dirname(source), relative);
      const to = join(dist, relative);
      if (forked.has(relative)) await bundleWithFiles(from, to.replace(/\.ts$/, '.js'));
      else if (take(from, to)) cpSync(from, to, { recursive: true });
    }
  }
}

const [project] = process.argv.slice(2);
if (project === undefined) throw new Error('usage: node tools/build/bundle.ts <project folder>');
rmSync(resolve(project, 'dist'), { recursive: true, force: true });
await bundleWithFiles(resolve(project, 'src/main.ts'), resolve(project, 'dist/main.js'));
