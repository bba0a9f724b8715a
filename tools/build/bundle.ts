/**
 * `node tools/build/bundle.ts <project>` bundles <project>/src/main.ts to <project>/dist/main.js for container images.
 *
 * Workspace packages are bundled from their sources (Node strips no types below node_modules); npm packages stay
 * external, because natives cannot be bundled and tracing hooks must see the real modules. A file that a source reads
 * by `new URL('./x', import.meta.url)` is copied, so that the same expression finds it beside the bundle.
 */
import { cpSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { type Plugin, build } from 'esbuild';

const ASSET = /new URL\(\s*'(\.\/[^']+)',\s*import\.meta\.url\s*\)/g;

const npmExternal: Plugin = {
  name: 'npm-external',
  setup(builder) {
    builder.onResolve({ filter: /^[^./]/ }, ({ kind, path }) =>
      kind === 'entry-point' || path.startsWith('@partita/') ? undefined : { path, external: true },
    );
  },
};

/** Copies the assets of the bundled sources below `dist`. Two different files at one place are an error. */
function copyAssets(sources: readonly string[], dist: string): void {
  const taken = new Map<string, string>();
  for (const source of sources) {
    for (const [, relative = ''] of readFileSync(source, 'utf8').matchAll(ASSET)) {
      const from = resolve(dirname(source), relative);
      const to = join(dist, relative);
      const owner = taken.get(to);
      if (owner !== undefined && owner !== from) {
        throw new Error(`${owner} and ${from} would both be copied to ${to}: rename one of the two`);
      }
      taken.set(to, from);
      cpSync(from, to, { recursive: true });
    }
  }
}

const [project] = process.argv.slice(2);
if (project === undefined) throw new Error('usage: node tools/build/bundle.ts <project folder>');
const dist = resolve(project, 'dist');
rmSync(dist, { recursive: true, force: true });
const { metafile } = await build({
  entryPoints: [resolve(project, 'src/main.ts')],
  outfile: join(dist, 'main.js'),
  bundle: true,
  platform: 'node',
  target: 'node24',
  format: 'esm',
  sourcemap: true,
  metafile: true,
  plugins: [npmExternal],
  logLevel: 'warning',
});
copyAssets(
  Object.keys(metafile.inputs).map((path) => resolve(path)),
  dist,
);
