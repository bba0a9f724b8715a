/**
 * The disk of this machine: the only file that imports node:fs. Everything is asynchronous, so that libuv's threads wait
 * for the device and the event loop does not; set UV_THREADPOOL_SIZE above the number of fsyncs under way at once.
 */
import { constants } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, stat, statfs, unlink } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Disk, DiskFile, FreeBytes, OpenMode } from './disk.ts';

const OPEN_FLAGS: Record<OpenMode, number> = {
  read: constants.O_RDONLY,
  write: constants.O_RDWR,
  create: constants.O_RDWR | constants.O_CREAT | constants.O_EXCL,
};
const SYNCED_FLAGS = constants.O_RDWR | constants.O_DSYNC;
const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;
/** Buffers that Linux takes in one call; libuv makes several of more, and each would be synced by itself. */
const BUFFER_COUNT_MAX = 1024;

/** A file of this machine. */
class NodeFile implements DiskFile {
  readonly #path: string;
  #handle: FileHandle;
  /** The handle is one whose writes return when they are on the device; so it is from the first synced write on. */
  #isSynced = false;

  constructor(path: string, handle: FileHandle) {
    this.#path = path;
    this.#handle = handle;
  }

  async read(buffer: Uint8Array, position: number): Promise<number> {
    let done = 0;
    while (done < buffer.length) {
      const { bytesRead } = await this.#handle.read(buffer, done, buffer.length - done, position + done);
      if (bytesRead === 0) break;
      done += bytesRead;
    }
    return done;
  }

  async writev(buffers: readonly Uint8Array[], position: number): Promise<void> {
    await writeAll(this.#handle, buffers, position);
  }

  /** One turn in libuv's threads instead of two. */
  async writeSynced(buffers: readonly Uint8Array[], position: number): Promise<void> {
    if (buffers.length > BUFFER_COUNT_MAX) {
      await this.writev(buffers, position);
      await this.datasync();
    } else {
      if (!this.#isSynced) await this.#openSynced();
      await writeAll(this.#handle, buffers, position);
    }
  }

  async datasync(): Promise<void> {
    await this.#handle.datasync();
  }

  async truncate(size: number): Promise<void> {
    await this.#handle.truncate(size);
  }

  async size(): Promise<number> {
    return (await this.#handle.stat()).size;
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }

  /** In place of the handle, not beside it: descriptors are what a broker with many partitions has least of. */
  async #openSynced(): Promise<void> {
    const before = this.#handle;
    const synced = await open(this.#path, SYNCED_FLAGS);
    const [one, other] = await Promise.all([before.stat(), synced.stat()]);
    if (one.ino !== other.ino || one.dev !== other.dev) {
      await synced.close();
      throw Object.assign(new Error(`another file has taken the name ${this.#path}`), { code: 'ESTALE' });
    }
    this.#handle = synced;
    this.#isSynced = true;
    // Reads that are under way end first.
    await before.close();
  }
}

async function writeAll(handle: FileHandle, buffers: readonly Uint8Array[], position: number): Promise<void> {
  let rest = buffers.filter((buffer) => buffer.length > 0);
  let at = position;
  while (rest.length > 0) {
    const { bytesWritten } = await handle.writev(rest, at);
    // The kernel may take a part only; without this check a write that takes nothing would loop for ever.
    if (bytesWritten === 0) throw Object.assign(new Error('the disk took no bytes'), { code: 'EIO' });
    at += bytesWritten;
    rest = without(rest, bytesWritten);
  }
}

/** The buffers that are left when the first `bytes` of them are written. */
function without(buffers: Uint8Array[], bytes: number): Uint8Array[] {
  let skip = bytes;
  let index = 0;
  for (; index < buffers.length; index += 1) {
    const length = buffers[index]?.length ?? 0;
    if (skip < length) break;
    skip -= length;
  }
  const rest = buffers.slice(index);
  const first = rest[0];
  if (first !== undefined && skip > 0) rest[0] = first.subarray(skip);
  return rest;
}

/** Makes the disk of this machine. */
export function createNodeDisk(): Disk {
  const disk: Disk = {
    open: async (path, mode) => new NodeFile(path, await open(path, OPEN_FLAGS[mode], FILE_MODE)),
    list: async (directory) => (await readdir(directory)).sort(),
    makeDirectory: async (directory) => {
      await mkdir(directory, { recursive: true, mode: DIRECTORY_MODE });
    },
    rename,
    unlink,
    fileBytes: async (path) => (await stat(path)).size,
    readFile: (path) => readFile(path),
    syncDirectory: async (directory) => {
      const handle = await open(directory, constants.O_RDONLY);
      try {
        await handle.sync();
      } finally {
        await handle.close();
      }
    },
    writeFileAtomically: async (path, content) => {
      const temporary = `${path}.new`;
      const handle = await open(temporary, 'w', FILE_MODE);
      try {
        await handle.writeFile(content);
        await handle.sync();
      } finally {
        await handle.close();
      }
      await rename(temporary, path);
      await disk.syncDirectory(dirname(path));
    },
    freeBytes: async (directory): Promise<FreeBytes> => {
      const { bavail, blocks, bsize } = await statfs(directory);
      return { freeBytes: bavail * bsize, totalBytes: blocks * bsize };
    },
  };
  return disk;
}
