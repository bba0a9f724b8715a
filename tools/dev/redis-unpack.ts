/**
 * Redis without root and without installing it: the distribution's own packages, downloaded by apt (which checks
 * their signatures) and unpacked below a folder. Debian and Ubuntu only.
 *
 *   <folder>/root/usr/bin/redis-server   the unpacked packages; kept, so that the next start takes milliseconds
 *   <folder>/apt-<pid>/                  apt's state and the packages while it downloads; removed afterwards
 */
import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access, mkdir, readFile, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { RedisCommand } from './redis-server.ts';

const run = promisify(execFile);
/** One step of apt: lists of a release are some 10 MB, the packages 1.4 MB. */
const STEP_MS_MAX = 120_000;
const OUTPUT_BYTES_MAX = 16 * 1024 * 1024;
/** What Debian 12 lacks for Redis; a machine that lacks more has more named by apt's own simulation. */
const PACKAGES = ['redis-server', 'redis-tools', 'libjemalloc2', 'liblzf1'] as const;
const TRIPLETS: Readonly<Record<string, string>> = { x64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu' };

/** The unpacked Redis below `folder`, fetched first if it is not there. Throws an Error that says why it cannot be had. */
export async function unpackedRedis(folder: string, log: (line: string) => void): Promise<RedisCommand> {
  const triplet = TRIPLETS[process.arch];
  if (triplet === undefined) throw new Error(`no unpacked Redis for ${process.arch}: only x64 and arm64 are known`);
  const root = join(folder, 'root');
  const command = commandBelow(root, triplet);
  if (await runs(command)) return command;
  await requireDebian();
  log('no Redis on this machine: unpacking the distribution package below ' + folder);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const work = join(folder, `apt-${process.pid}`);
  try {
    const debs = await downloadPackages(work);
    const fresh = join(work, 'root');
    for (const deb of debs) await run('dpkg-deb', ['-x', deb, fresh], { timeout: STEP_MS_MAX });
    await rm(root, { recursive: true, force: true });
    await rename(fresh, root);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  if (!(await runs(command))) throw new Error(`the unpacked ${command.path} does not start on this machine`);
  return command;
}

function commandBelow(root: string, triplet: string): RedisCommand {
  const libraries = [join(root, 'usr/lib', triplet), join(root, 'lib', triplet)].join(':');
  return { path: join(root, 'usr/bin/redis-server'), env: { LD_LIBRARY_PATH: libraries } };
}

/** True when the binary and all its libraries are there. */
async function runs(command: RedisCommand): Promise<boolean> {
  try {
    await access(command.path, constants.X_OK);
    await run(command.path, ['--version'], { env: { ...process.env, ...command.env }, timeout: STEP_MS_MAX });
    return true;
  } catch {
    return false;
  }
}

async function requireDebian(): Promise<void> {
  const release = await readFile('/etc/os-release', 'utf8').catch(() => '');
  if (!/^ID(_LIKE)?=.*\b(debian|ubuntu)\b/m.test(release)) {
    throw new Error('Redis can be unpacked on Debian and Ubuntu only');
  }
  for (const tool of [['apt-get', '--version'] as const, ['dpkg-deb', '--version'] as const]) {
    await run(tool[0], [tool[1]], { timeout: STEP_MS_MAX }).catch(() => {
      throw new Error(`Redis cannot be unpacked: ${tool[0]} is not on the PATH`);
    });
  }
}

/** Downloads by the machine's package lists; when these are missing or out of date, by lists fetched for this alone. */
async function downloadPackages(work: string): Promise<string[]> {
  const cache = join(work, 'cache');
  const state = join(work, 'state');
  const debs = join(work, 'debs');
  for (const path of [join(cache, 'archives/partial'), join(state, 'lists/partial'), debs]) {
    await mkdir(path, { recursive: true, mode: 0o700 });
  }
  const own = ['-o', `Dir::Cache=${cache}`, '-o', 'APT::Sandbox::User=', '-o', 'Debug::NoLocking=true'];
  const network = ['-o', 'Acquire::Retries=2', '-o', 'Acquire::http::Timeout=20', '-o', 'Acquire::https::Timeout=20'];
  const lists = ['-o', `Dir::State=${state}`, '-o', `Dir::State::lists=${join(state, 'lists')}`];
  const options = [...own, ...network];
  try {
    await download(options, debs);
  } catch {
    const fresh = [...options, ...lists, '-o', 'Dir::State::status=/var/lib/dpkg/status'];
    try {
      await apt(['-q', ...fresh, 'update'], work);
      await download(fresh, debs);
    } catch (error) {
      throw new Error(`apt-get could not download Redis: ${lastLine(error)}`, { cause: error });
    }
  }
  return (await readdir(debs)).filter((name) => name.endsWith('.deb')).map((name) => join(debs, name));
}

async function download(options: readonly string[], folder: string): Promise<void> {
  const names = new Set<string>(PACKAGES);
  // A package that would only be upgraded, "Inst name [old] (new)", is on the machine already: left alone.
  const simulated = await apt(['-s', '--no-install-recommends', ...options, 'install', 'redis-server'], folder);
  for (const [, name = ''] of simulated.matchAll(/^Inst (\S+) \(/gm)) names.add(name);
  await apt(['-q', ...options, 'download', ...names], folder);
}

async function apt(args: readonly string[], cwd: string): Promise<string> {
  const env = { ...process.env, LC_ALL: 'C', DEBIAN_FRONTEND: 'noninteractive' };
  const { stdout } = await run('apt-get', args, { cwd, env, timeout: STEP_MS_MAX, maxBuffer: OUTPUT_BYTES_MAX });
  return stdout;
}

function lastLine(error: unknown): string {
  const text = error instanceof Error && 'stderr' in error ? String(error.stderr) : String(error);
  return text.trim().split('\n').at(-1) ?? 'no reason given';
}
