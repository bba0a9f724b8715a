/**
 * A disk in memory with the crash semantics of a real one: `crash()` is a power cut. Bytes written but not synced are
 * lost, or kept page by page as the test says; names made, renamed or removed without a sync of their directory go back
 * to what they were. It has the shape of libs/log's `Disk` without importing it, so that libs/log can test with it, and
 * passes disk.conformance.ts there.
 */

/** Unit in which an unsynced write reaches the device or not. */
const PAGE_BYTES = 4096;

interface Inode {
  /** What a running program reads. */
  content: Buffer;
  /** What is on the device. */
  synced: Buffer;
}

/** An operation that a test can make fail or count. */
export type MemoryDiskOperation = 'writev' | 'datasync' | 'truncate' | 'syncDirectory' | 'rename';

function systemError(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code });
}

function parentOf(path: string): string {
  const slash = path.lastIndexOf('/');
  return slash <= 0 ? '/' : path.slice(0, slash);
}

function resized(content: Buffer, size: number): Buffer {
  if (size <= content.length) return content.subarray(0, size);
  return Buffer.concat([content, Buffer.alloc(size - content.length)]);
}

export class MemoryDisk {
  /** How often each operation ran, for tests of group commit. */
  readonly counts = new Map<MemoryDiskOperation, number>();
  /** Bytes that the disk holds before writes fail with ENOSPC. */
  capacityBytes = 1024 ** 3;
  #names = new Map<string, Inode>();
  #durableNames = new Map<string, Inode>();
  readonly #directories = new Set<string>(['/']);
  readonly #failures = new Map<MemoryDiskOperation, string[]>();
  /** Grows at each crash; a file opened before it is dead. */
  #life = 0;

  /** Makes the next `operation` fail with the code, once per call. */
  failNext(operation: MemoryDiskOperation, code: string): void {
    this.#failures.set(operation, [...(this.#failures.get(operation) ?? []), code]);
  }

  /**
   * Cuts the power. `keepsPage` says for each 4 KiB page that differs from the device whether it had reached the device
   * by itself; by default none had.
   */
  crash(keepsPage: (path: string, page: number) => boolean = () => false): void {
    this.#life += 1;
    const survivors = new Map<string, Inode>();
    for (const [path, inode] of this.#durableNames) {
      const content = torn(inode, (page) => keepsPage(path, page));
      survivors.set(path, { content, synced: Buffer.from(content) });
    }
    this.#names = survivors;
    this.#durableNames = new Map(survivors);
  }

  /** Changes a stored file behind the program's back, on the device too (a bit flip, a cut). */
  tamper(path: string, change: (content: Buffer) => Buffer): void {
    const inode = this.#inode(path);
    inode.content = Buffer.from(change(Buffer.from(inode.content)));
    inode.synced = Buffer.from(inode.content);
  }

  /** True when there is a file of that name. */
  has(path: string): boolean {
    return this.#names.has(path);
  }

  async open(path: string, mode: 'read' | 'write' | 'create'): Promise<MemoryFile> {
    await Promise.resolve();
    if (mode === 'create') {
      if (this.#names.has(path)) throw systemError('EEXIST', path);
      if (!this.#directories.has(parentOf(path))) throw systemError('ENOENT', path);
      this.#names.set(path, { content: Buffer.alloc(0), synced: Buffer.alloc(0) });
    }
    return new MemoryFile(this, this.#inode(path), path, mode !== 'read', this.#life);
  }

  async list(directory: string): Promise<string[]> {
    await Promise.resolve();
    if (!this.#directories.has(directory)) throw systemError('ENOENT', directory);
    const below = [...this.#names.keys(), ...this.#directories].filter(
      (path) => path !== '/' && parentOf(path) === directory,
    );
    return below.map((path) => path.slice(path.lastIndexOf('/') + 1)).sort();
  }

  async makeDirectory(directory: string): Promise<void> {
    await Promise.resolve();
    for (let path = directory; !this.#directories.has(path); path = parentOf(path)) this.#directories.add(path);
  }

  async rename(from: string, to: string): Promise<void> {
    await Promise.resolve();
    this.begin('rename', from);
    this.#names.set(to, this.#inode(from));
    this.#names.delete(from);
  }

  async unlink(path: string): Promise<void> {
    await Promise.resolve();
    if (!this.#names.delete(path)) throw systemError('ENOENT', path);
  }

  async syncDirectory(directory: string): Promise<void> {
    await Promise.resolve();
    this.begin('syncDirectory', directory);
    for (const path of [...this.#durableNames.keys()]) {
      if (parentOf(path) === directory && !this.#names.has(path)) this.#durableNames.delete(path);
    }
    for (const [path, inode] of this.#names) {
      if (parentOf(path) === directory) this.#durableNames.set(path, inode);
    }
  }

  async fileBytes(path: string): Promise<number> {
    await Promise.resolve();
    return this.#inode(path).content.length;
  }

  async readFile(path: string): Promise<Buffer> {
    await Promise.resolve();
    return Buffer.from(this.#inode(path).content);
  }

  async writeFileAtomically(path: string, content: Uint8Array): Promise<void> {
    const temporary = `${path}.new`;
    this.#names.delete(temporary);
    const file = await this.open(temporary, 'create');
    await file.writev([content], 0);
    await file.datasync();
    await file.close();
    await this.rename(temporary, path);
    await this.syncDirectory(parentOf(path));
  }

  async freeBytes(directory: string): Promise<{ freeBytes: number; totalBytes: number }> {
    await Promise.resolve();
    if (!this.#directories.has(directory)) throw systemError('ENOENT', directory);
    return { freeBytes: Math.max(0, this.capacityBytes - this.#usedBytes()), totalBytes: this.capacityBytes };
  }

  /** Counts an operation and fails it when a test asked for that. Called by the files of this disk. */
  begin(operation: MemoryDiskOperation, path: string): void {
    this.counts.set(operation, (this.counts.get(operation) ?? 0) + 1);
    const code = this.#failures.get(operation)?.shift();
    if (code !== undefined) throw systemError(code, path);
  }

  /** Throws when the file was opened before the last crash. Called by the files of this disk. */
  checkLife(life: number, path: string): void {
    if (life !== this.#life) throw systemError('EBADF', path);
  }

  /** Throws ENOSPC when `bytes` more do not fit. Called by the files of this disk. */
  checkSpace(bytes: number, path: string): void {
    if (bytes > 0 && this.#usedBytes() + bytes > this.capacityBytes) throw systemError('ENOSPC', path);
  }

  #usedBytes(): number {
    let used = 0;
    for (const inode of this.#names.values()) used += inode.content.length;
    return used;
  }

  #inode(path: string): Inode {
    const inode = this.#names.get(path);
    if (inode === undefined) throw systemError('ENOENT', path);
    return inode;
  }
}

/** What is on the device after a power cut: the synced bytes, and of the others the pages that the test keeps. */
function torn(inode: Inode, keeps: (page: number) => boolean): Buffer {
  let result: Buffer = Buffer.from(inode.synced);
  for (let at = 0; at < inode.content.length; at += PAGE_BYTES) {
    const page = inode.content.subarray(at, at + PAGE_BYTES);
    const differs = !page.equals(inode.synced.subarray(at, at + page.length));
    if (!differs || !keeps(at / PAGE_BYTES)) continue;
    result = resized(result, Math.max(result.length, at + page.length));
    page.copy(result, at);
  }
  return result;
}

/** An open file of a MemoryDisk. */
export class MemoryFile {
  readonly #disk: MemoryDisk;
  readonly #inode: Inode;
  readonly #path: string;
  readonly #writable: boolean;
  readonly #life: number;

  constructor(disk: MemoryDisk, inode: Inode, path: string, writable: boolean, life: number) {
    this.#disk = disk;
    this.#inode = inode;
    this.#path = path;
    this.#writable = writable;
    this.#life = life;
  }

  async read(buffer: Uint8Array, position: number): Promise<number> {
    await this.#arrive();
    const bytes = this.#inode.content.subarray(position, position + buffer.length);
    buffer.set(bytes);
    return bytes.length;
  }

  /** On ENOSPC half of what was asked is written, as a real disk may do. */
  async writev(buffers: readonly Uint8Array[], position: number): Promise<void> {
    await this.#arrive();
    this.#disk.begin('writev', this.#path);
    if (!this.#writable) throw systemError('EBADF', this.#path);
    const bytes = Buffer.concat(buffers);
    const growth = position + bytes.length - this.#inode.content.length;
    try {
      this.#disk.checkSpace(growth, this.#path);
    } catch (error) {
      this.#put(bytes.subarray(0, bytes.length / 2), position);
      throw error;
    }
    this.#put(bytes, position);
  }

  async writeSynced(buffers: readonly Uint8Array[], position: number): Promise<void> {
    await this.writev(buffers, position);
    await this.datasync();
  }

  async datasync(): Promise<void> {
    await this.#arrive();
    this.#disk.begin('datasync', this.#path);
    this.#inode.synced = Buffer.from(this.#inode.content);
  }

  async truncate(size: number): Promise<void> {
    await this.#arrive();
    this.#disk.begin('truncate', this.#path);
    this.#inode.content = Buffer.from(resized(this.#inode.content, size));
  }

  async size(): Promise<number> {
    await this.#arrive();
    return this.#inode.content.length;
  }

  async close(): Promise<void> {
    await Promise.resolve();
  }

  /** Each operation takes a turn of the event loop, as on a real disk, and fails on a file from before a crash. */
  async #arrive(): Promise<void> {
    await new Promise<void>((resolve) => {
      setImmediate(resolve);
    });
    this.#disk.checkLife(this.#life, this.#path);
  }

  #put(bytes: Buffer, position: number): void {
    if (position + bytes.length > this.#inode.content.length) {
      this.#inode.content = Buffer.from(resized(this.#inode.content, position + bytes.length));
    }
    bytes.copy(this.#inode.content, position);
  }
}
