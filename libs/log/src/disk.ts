/**
 * The port to the disk. Production uses node-disk.ts, tests the memory disk of the testkit; both pass
 * disk.conformance.ts. Paths are absolute or relative text with `/` between names. Failures are Errors whose `code` is
 * that of the operating system (`ENOENT`, `EEXIST`, `ENOSPC`, `EIO`).
 *
 * What survives a power cut: bytes of a file after its `datasync`, names of a directory (created, renamed, removed)
 * after `syncDirectory` of it. Nothing else, and in no order.
 */
export interface DiskFile {
  /** Fills `buffer` from `position`; returns the bytes read, fewer than asked only at the end of the file. */
  read(buffer: Uint8Array, position: number): Promise<number>;
  /** Writes all the buffers one behind the other from `position`, or throws; after a throw any part may be written. */
  writev(buffers: readonly Uint8Array[], position: number): Promise<void>;
  /**
   * As `writev`, and what it writes is durable when it resolves; what others wrote need not be. After a throw any part may
   * be written, and none of it counts as durable, not by a later `datasync` either: it has to be written again.
   */
  writeSynced(buffers: readonly Uint8Array[], position: number): Promise<void>;
  /** Makes the content durable. After a throw the state on disk is unknown: never call it again on the same data. */
  datasync(): Promise<void>;
  /** Cuts or extends (by zeros) the file to `size` bytes. */
  truncate(size: number): Promise<void>;
  /** Size in bytes. */
  size(): Promise<number>;
  close(): Promise<void>;
}

/** `read`: must exist; `write`: must exist, read and write; `create`: must not exist (EEXIST), read and write. */
export type OpenMode = 'read' | 'write' | 'create';

/** Free and total bytes of the file system below a directory. */
export interface FreeBytes {
  readonly freeBytes: number;
  readonly totalBytes: number;
}

export interface Disk {
  open(path: string, mode: OpenMode): Promise<DiskFile>;
  /** Names in the directory, sorted; throws ENOENT when there is none. */
  list(directory: string): Promise<string[]>;
  /** Makes the directory and those above it, owner only (0700); no error when it exists. */
  makeDirectory(directory: string): Promise<void>;
  /** Gives the file a new name in place of what had that name. Durable after `syncDirectory`. */
  rename(from: string, to: string): Promise<void>;
  /** Removes the file; ENOENT when there is none. Durable after `syncDirectory`. */
  unlink(path: string): Promise<void>;
  syncDirectory(directory: string): Promise<void>;
  /** Size of a file in bytes; ENOENT when there is none. */
  fileBytes(path: string): Promise<number>;
  /** The whole content of a small file. */
  readFile(path: string): Promise<Buffer>;
  /** Puts a small file in place, durable on return: after a crash there is the old content or the new, never a mix. */
  writeFileAtomically(path: string, content: Uint8Array): Promise<void>;
  freeBytes(directory: string): Promise<FreeBytes>;
}

/** The part of a disk that changes nothing, as long as files are opened to `read`. */
export type ReadingDisk = Pick<Disk, 'open' | 'list' | 'readFile'>;

/** The operating system's code of an error (`ENOENT` ...), or undefined. */
export function diskErrorCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** The content of a file, or undefined when it does not exist. */
export async function readFileIfExists(disk: Pick<Disk, 'readFile'>, path: string): Promise<Buffer | undefined> {
  try {
    return await disk.readFile(path);
  } catch (error) {
    if (diskErrorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Removes a file that may not exist. */
export async function unlinkIfExists(disk: Disk, path: string): Promise<void> {
  try {
    await disk.unlink(path);
  } catch (error) {
    if (diskErrorCode(error) !== 'ENOENT') throw error;
  }
}
