/** Programs of peers, fetched or built when a bench first asks for them, into `.nx/peers`. */
import { execFile, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const FOLDER = fileURLToPath(new URL('../../../.nx/peers', import.meta.url));
const DIGEST_CHARS = 12;
/** The slowest there is: a first build of a server, its sources fetched before. */
const MAKE_MS_MAX = 15 * 60_000;

/** What a peer is made of: files of this folder, which name every version exactly. */
export interface Recipe {
  readonly name: string;
  readonly sources: readonly URL[];
  /** The command that fills the folder, when it is missing. */
  readonly command: (folder: string) => readonly [program: string, ...args: string[]];
  readonly cwd?: URL;
}

/** Where it is, or will be: another folder when a source changes. */
export function folderOf({ name, sources }: Pick<Recipe, 'name' | 'sources'>, root = FOLDER): string {
  const digest = createHash('sha256');
  for (const source of sources) digest.update(readFileSync(source));
  return join(root, `${name}-${digest.digest('hex').slice(0, DIGEST_CHARS)}`);
}

/** Fetches it when it is not there, and returns its folder. A half-made folder is never taken for a whole one. */
export async function fetched(recipe: Recipe, root = FOLDER): Promise<string> {
  const folder = folderOf(recipe, root);
  if (existsSync(folder)) return folder;
  mkdirSync(root, { recursive: true });
  const making = mkdtempSync(`${folder}.`);
  try {
    const [program, ...args] = recipe.command(making);
    await promisify(execFile)(program, args, { timeout: MAKE_MS_MAX, ...(recipe.cwd ? { cwd: recipe.cwd } : {}) });
    renameSync(making, folder);
  } finally {
    rmSync(making, { recursive: true, force: true });
  }
  return folder;
}

/** What a program prints when it is asked for its version; undefined = it is not on this machine. */
export function versionText(program: string, flag: string): string | undefined {
  const { status, stdout, stderr } = spawnSync(program, [flag], { encoding: 'utf8' });
  return status === 0 ? stdout + stderr : undefined;
}
