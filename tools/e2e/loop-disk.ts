/**
 * A disk that can lose power or fill up: ext4 on a loop device over a sparse file below the system's temporary folder.
 *
 * What the backing file holds is what the "device" has really been given. Bytes that the inner file system keeps in its
 * page cache are not in it: the loop device sees them only at write-back or fsync, and passes them on by direct I/O. So a
 * copy of the backing file, taken without any sync or unmount, is what a power cut leaves.
 *
 * The file's name carries the process that made it. What a killed test run left behind (mounts, loop devices, files) is
 * removed when the next disk is made.
 */
import { execFile } from 'node:child_process';
import { closeSync, ftruncateSync, mkdirSync, openSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { commandPath, whyNot } from '@partita/tool-dev/debian-package.ts';
import type { SystemCommand } from '@partita/tool-dev/debian-package.ts';
import { isAlive, startTimeOf } from './processes.ts';
import { until } from './until.ts';

const run = promisify(execFile);
const PREFIX = 'partita-disk-';
const COPY_TRIES_MAX = 50;
const MIB = 1024 * 1024;
let made = 0;

/** Why this machine can give no such disk; undefined when it can. Tries the whole of it once. */
export async function whyNoLoopDisk(): Promise<string | undefined> {
  const missing = await whyNot(['losetup', 'mkfs.ext4', 'mount']);
  if (missing !== undefined) return missing;
  const trial = join(tmpdir(), `${PREFIX}trial-${process.pid}`);
  try {
    const disk = await LoopDisk.create({ mountPoint: trial, mib: 16 });
    await disk.dispose();
    return undefined;
  } catch (error) {
    return `this machine gives no loop device: ${error instanceof Error ? error.message : String(error)}`;
  } finally {
    rmSync(trial, { recursive: true, force: true });
  }
}

export class LoopDisk {
  readonly mountPoint: string;
  /** The backing file. */
  #file: string;
  #device = '';

  private constructor(mountPoint: string, file: string) {
    this.mountPoint = mountPoint;
    this.#file = file;
  }

  /** Makes an empty one and mounts it; the mount point is made too. */
  static async create(options: { readonly mountPoint: string; readonly mib: number }): Promise<LoopDisk> {
    await removeAbandoned();
    const disk = new LoopDisk(options.mountPoint, newFile());
    const handle = openSync(disk.#file, 'wx', 0o600);
    ftruncateSync(handle, options.mib * MIB);
    closeSync(handle);
    try {
      // Nothing is left for the kernel to initialise later: a quiet disk is one that nobody writes to.
      const whole = 'lazy_itable_init=0,lazy_journal_init=0,nodiscard';
      await command('mkfs.ext4', ['-q', '-F', '-m', '0', '-E', whole, disk.#file]);
      mkdirSync(disk.mountPoint, { recursive: true, mode: 0o700 });
      await disk.#attach();
      return disk;
    } catch (error) {
      await disk.dispose();
      throw error;
    }
  }

  /**
   * What a power cut leaves takes the disk's place: a copy of the backing file as it is now, mounted where the disk was.
   * Kill whoever uses the disk first. The copy is of one moment: it is taken anew when the kernel wrote meanwhile.
   */
  async cutPower(): Promise<void> {
    const copy = newFile();
    try {
      await this.#copyAtOnce(copy);
    } catch (error) {
      rmSync(copy, { force: true });
      throw error;
    }
    await this.#detach();
    rmSync(this.#file);
    this.#file = copy;
    await this.#attach();
  }

  /** Brings everything that is in the page cache to the device. */
  async sync(): Promise<void> {
    await run('sync', ['--file-system', this.mountPoint]);
  }

  /** Unmounts it and removes its file, in whatever state it is. */
  async dispose(): Promise<void> {
    try {
      await this.#detach();
    } finally {
      rmSync(this.#file, { force: true });
    }
  }

  async #copyAtOnce(target: string): Promise<void> {
    for (let tries = 1; ; tries += 1) {
      const before = this.#writeCount();
      await run('cp', ['--sparse=always', this.#file, target]);
      if (before !== undefined && before === this.#writeCount()) return;
      if (tries === COPY_TRIES_MAX) throw new Error(`${this.#device} was written to during each of ${tries} copies`);
    }
  }

  /** Writes, discards and flushes that the device has completed; undefined while one is under way. */
  #writeCount(): string | undefined {
    const fields = readFileSync(`/sys/block/${basename(this.#device)}/stat`, 'utf8')
      .trim()
      .split(/\s+/);
    // Documentation/block/stat.rst: 4 writes, 6 sectors written, 8 in flight, 11 discards, 15 flushes.
    return fields[8] === '0' ? [4, 6, 11, 15].map((field) => fields[field]).join(' ') : undefined;
  }

  async #attach(): Promise<void> {
    this.#device = await attachLoop(this.#file);
    await command('mount', ['-t', 'ext4', '-o', 'noatime', this.#device, this.mountPoint]);
  }

  async #detach(): Promise<void> {
    const device = this.#device;
    if (device === '') return;
    this.#device = '';
    await detach(device);
  }
}

/** Direct I/O, so that nothing waits in the page cache of the backing file; without it where its file system cannot. */
async function attachLoop(file: string): Promise<string> {
  const args = ['--find', '--show', file];
  return command('losetup', ['--direct-io=on', ...args]).catch(() => command('losetup', args));
}

/** Unmounts the device wherever it is mounted and gives it back. */
async function detach(device: string): Promise<void> {
  for (const target of mountPointsOf(device)) {
    // A killed process gives its files back a moment after it is gone.
    await until(`the unmount of ${target}`, 10, async () => {
      await run('umount', [target]);
      return true;
    });
  }
  await command('losetup', ['--detach', device]);
}

function mountPointsOf(device: string): string[] {
  const mounts = readFileSync('/proc/self/mounts', 'utf8').split('\n');
  return mounts.flatMap((line) => {
    const [source, target] = line.split(' ');
    return source === device && target !== undefined ? [target] : [];
  });
}

function newFile(): string {
  made += 1;
  return join(tmpdir(), `${PREFIX}${process.pid}-${startTimeOf(process.pid)}-${made}.img`);
}

/** Removes the disks of test processes that are gone. */
async function removeAbandoned(): Promise<void> {
  const isAbandoned = (path: string): boolean => {
    const [, pid, startTime] = /partita-disk-(\d+)-(\d+)-\d+\.img/.exec(path) ?? [];
    return pid !== undefined && !(isAlive(Number(pid)) && startTimeOf(Number(pid)) === startTime);
  };
  const list = await command('losetup', ['--list', '--noheadings', '--raw', '--output', 'NAME,BACK-FILE']);
  for (const line of list.split('\n')) {
    const [device, file] = line.split(' ');
    if (device === undefined || file === undefined || !isAbandoned(file)) continue;
    // Brokers of the killed run may still live and use it: it goes when they do.
    for (const target of mountPointsOf(device)) await run('umount', ['--lazy', target]);
    await command('losetup', ['--detach', device]);
  }
  for (const name of readdirSync(tmpdir())) if (isAbandoned(name)) rmSync(join(tmpdir(), name), { force: true });
}

/** Runs a command of the system and returns what it printed. */
async function command(name: SystemCommand, args: readonly string[]): Promise<string> {
  const { stdout } = await run(commandPath(name) ?? name, args);
  return stdout.trim();
}
