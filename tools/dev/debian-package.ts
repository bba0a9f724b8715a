/**
 * Commands that suites of faults of disks, networks and clocks need: found on this machine, or installed from the
 * distribution where that is allowed (root on Debian or Ubuntu). No other suite installs anything.
 */
import { execFile } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const INSTALL_MS_MAX = 180_000;
/** Where administrators' commands are; a user's PATH may lack them. */
const FOLDERS = ['/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/bin', '/bin'];
/** The package of each command that a minimal system may lack. */
const PACKAGES = {
  strace: 'strace',
  'mkfs.ext4': 'e2fsprogs',
  losetup: 'mount',
  mount: 'mount',
  unshare: 'util-linux',
  nsenter: 'util-linux',
  ip: 'iproute2',
  nft: 'nftables',
  faketime: 'faketime',
};

export type SystemCommand = keyof typeof PACKAGES;

/** Undefined when the process is root and all the commands are there, or were installed; else the reason for a skip. */
export async function whyNot(commands: readonly SystemCommand[]): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return `needs root for ${commands.join(', ')}`;
  const missing = commands.filter((command) => commandPath(command) === undefined);
  if (missing.length === 0) return undefined;
  try {
    await install([...new Set(missing.map((command) => PACKAGES[command]))]);
  } catch (error) {
    const reason = error instanceof Error && 'stderr' in error ? String(error.stderr) : String(error);
    return `no ${missing.join(', ')}, and apt-get cannot install it: ${reason.trim().split('\n').at(-1) ?? ''}`;
  }
  const still = missing.filter((command) => commandPath(command) === undefined);
  return still.length === 0 ? undefined : `the packages of ${still.join(', ')} do not hold it`;
}

/** The command's file, or undefined when it is not on this machine. */
export function commandPath(command: SystemCommand): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== ''), ...FOLDERS];
  return folders.map((folder) => join(folder, command)).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** By the machine's package lists; by fresh ones when these are missing or out of date. */
async function install(packages: readonly string[]): Promise<void> {
  const options = {
    env: { ...process.env, LC_ALL: 'C', DEBIAN_FRONTEND: 'noninteractive' },
    timeout: INSTALL_MS_MAX,
    maxBuffer: 16 * 1024 * 1024,
  };
  const args = ['-q', '-y', '--no-install-recommends', 'install', ...packages];
  try {
    await run('apt-get', args, options);
  } catch {
    await run('apt-get', ['-q', 'update'], options);
    await run('apt-get', args, options);
  }
}
