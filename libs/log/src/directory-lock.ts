/**
 * One process per data directory: the file `lock` holds `{"pid": 4711, "start_time": "<of that process>"}`. A lock whose
 * process is gone (none with that pid, or one that started at another time) is left over from a crash and is replaced.
 */
import { PartitaError } from '@partita/domain';
import { diskErrorCode, readFileIfExists, unlinkIfExists } from './disk.ts';
import type { Disk } from './disk.ts';
import type { Host } from './host.ts';
import { decodeCheckedJson } from './checked-json.ts';

const TRIES_MAX = 3;

/** Held until `release`. */
export interface DirectoryLock {
  release(): Promise<void>;
}

/** Locks the directory, made if missing; STORAGE_FAILED when a living process holds it. */
export async function lockDirectory(options: { disk: Disk; dir: string; host: Host }): Promise<DirectoryLock> {
  const { disk, dir, host } = options;
  await disk.makeDirectory(dir);
  const path = `${dir}/lock`;
  const startTime = (await host.startTimeOf(host.pid)) ?? '';
  const content = Buffer.from(`${JSON.stringify({ pid: host.pid, start_time: startTime })}\n`);
  for (let tries = 0; tries < TRIES_MAX; tries += 1) {
    if (await createLock(disk, path, content)) return { release: () => unlinkIfExists(disk, path) };
    await removeStale(options, path);
  }
  throw new PartitaError('STORAGE_FAILED', `${path} cannot be taken: others are taking it too; try again`, { dir });
}

async function createLock(disk: Disk, path: string, content: Uint8Array): Promise<boolean> {
  try {
    const file = await disk.open(path, 'create');
    try {
      await file.writev([content], 0);
    } finally {
      await file.close();
    }
    // Another starter may have taken the file for a leftover while it was still empty.
    return (await readFileIfExists(disk, path))?.equals(content) ?? false;
  } catch (error) {
    if (diskErrorCode(error) === 'EEXIST') return false;
    throw error;
  }
}

/** Removes the lock of a process that is gone; throws when it lives. */
async function removeStale(options: { disk: Disk; dir: string; host: Host }, path: string): Promise<void> {
  const { disk, dir, host } = options;
  const stored = await readFileIfExists(disk, path);
  if (stored === undefined) return;
  const pid = await holderOf(stored, host);
  if (pid !== undefined) {
    throw new PartitaError(
      'STORAGE_FAILED',
      `${dir} is in use by process ${pid}; stop that broker first, or give this one another data directory`,
      { dir, pid: String(pid) },
    );
  }
  // Renamed away first: of two that find the same stale lock only one removes it, and never the other's new one.
  const removed = `${path}.${host.pid}.stale`;
  try {
    await disk.rename(path, removed);
  } catch (error) {
    if (diskErrorCode(error) === 'ENOENT') return;
    throw error;
  }
  if ((await disk.readFile(removed)).equals(stored)) await disk.unlink(removed);
  else await disk.rename(removed, path);
}

/** The living process that holds the directory; undefined when nobody does, `stale` when only a leftover lock lies there. */
export async function lockHolder(options: {
  disk: Disk;
  dir: string;
  host: Host;
}): Promise<number | 'stale' | undefined> {
  const stored = await readFileIfExists(options.disk, `${options.dir}/lock`);
  return stored === undefined ? undefined : ((await holderOf(stored, options.host)) ?? 'stale');
}

async function holderOf(stored: Buffer, host: Host): Promise<number | undefined> {
  const holder = decodeCheckedJson(stored);
  const pid = holder?.['pid'];
  if (typeof pid !== 'number') return undefined;
  const startTime = await host.startTimeOf(pid);
  return startTime !== undefined && startTime === holder?.['start_time'] ? pid : undefined;
}
