/**
 * Generates libs/protocol/src/gen from proto/: TypeScript by buf and ts-proto, rewritten (postgen.ts), its face
 * (face.ts), and descriptors.binpb, the exact descriptors that server reflection answers with.
 *
 * Everything is made in a fresh folder beside the old one and renamed into place, so a failure leaves the old
 * generation whole and a reader never sees half of a new one. Run it by `nx run protocol:generate`, which caches.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join, resolve, sep } from 'node:path';
import { type GeneratedFile, faceOf } from './face.ts';
import { rewriteGenerated } from './postgen.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const BIN = join(ROOT, 'node_modules/.bin');
const TARGET = join(ROOT, 'libs/protocol/src/gen');

/** What the face re-exports: our packages, the error model, and the well-known types that our messages use. */
const FACE = /^(partita\/|google\/rpc\/|google\/protobuf\/(any|duration|timestamp|field_mask|empty)\.ts$)/;

function buf(args: readonly string[]): void {
  const env = { ...process.env, PATH: `${BIN}${delimiter}${process.env['PATH'] ?? ''}` };
  const { status, error } = spawnSync(join(BIN, 'buf'), args, { cwd: ROOT, env, stdio: 'inherit' });
  if (error) throw new Error(`buf could not be started (${error.message}): run \`npm install\` first`);
  if (status !== 0) throw new Error(`\`buf ${args.join(' ')}\` failed, see above`);
}

/** Rewrites every generated file below `folder` in place; returns them in a stable order. */
function rewriteAll(folder: string): GeneratedFile[] {
  let replacements = 0;
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .sort()
    .map((path): GeneratedFile => {
      const writerPath = `${'../'.repeat(path.split(sep).length)}frame-writer.ts`;
      const rewritten = rewriteGenerated(readFileSync(join(folder, path), 'utf8'), writerPath);
      replacements += rewritten.replacements;
      writeFileSync(join(folder, path), rewritten.source);
      return { path: path.split(sep).join('/'), source: rewritten.source };
    });
  if (replacements === 0) throw new Error('postgen.ts replaced nothing: the output of ts-proto changed, adapt it');
  return files;
}

function generate(): void {
  const fresh = `${TARGET}.new-${process.pid}`;
  const old = `${TARGET}.old-${process.pid}`;
  try {
    mkdirSync(fresh, { recursive: true });
    buf(['generate', 'proto', '--template', 'proto/buf.gen.yaml', '-o', fresh]);
    const files = rewriteAll(fresh);
    writeFileSync(join(fresh, 'face.ts'), faceOf(files.filter(({ path }) => FACE.test(path))));
    buf(['build', 'proto', '--exclude-source-info', '-o', join(fresh, 'descriptors.binpb')]);
    mkdirSync(TARGET, { recursive: true });
    renameSync(TARGET, old);
    renameSync(fresh, TARGET);
    process.stdout.write(`generated ${files.length} files from proto\n`);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
    rmSync(old, { recursive: true, force: true });
  }
}

try {
  generate();
} catch (error) {
  process.stderr.write(`generate: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
