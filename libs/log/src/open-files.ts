/**
 * The open files of a data directory, at most `countMax` idle ones: a broker with 10,000 partitions cannot keep all open.
 * A file is opened when it is first used, shared while in use, and closed when it is the least recently used idle one.
 */
import type { Disk, DiskFile } from './disk.ts';

interface Entry {
  readonly file: Promise<DiskFile>;
  /** The file once it is open: its users need not wait. */
  opened: DiskFile | undefined;
  userCount: number;
  /** Closed by its last user. */
  isClosing: boolean;
}

export class OpenFiles {
  readonly #disk: Disk;
  readonly #countMax: number;
  /** In order of last use, oldest first. */
  readonly #entries = new Map<string, Entry>();

  constructor(disk: Disk, countMax: number) {
    this.#disk = disk;
    this.#countMax = countMax;
  }

  /** Files open now. */
  get count(): number {
    return this.#entries.size;
  }

  /**
   * Runs `work` on the file at `path`, which must exist, opened for reading and writing; at once when it is open, so
   * that what a caller does next runs beside the disk's work.
   */
  async use<Result>(path: string, work: (file: DiskFile) => Promise<Result>): Promise<Result> {
    const entry = this.#entries.get(path) ?? this.#open(path);
    this.#entries.delete(path);
    this.#entries.set(path, entry);
    entry.userCount += 1;
    try {
      return await work(entry.opened ?? (await this.#opened(path, entry)));
    } finally {
      entry.userCount -= 1;
      if (entry.isClosing && entry.userCount === 0) await (await entry.file).close();
      if (this.#entries.size > this.#countMax) await this.#closeIdle();
    }
  }

  /** Closes the file, at once or when its last user is done; the next use opens what then has that name. */
  async close(path: string): Promise<void> {
    const entry = this.#entries.get(path);
    if (entry === undefined) return;
    this.#entries.delete(path);
    entry.isClosing = true;
    if (entry.userCount === 0) await (await entry.file).close();
  }

  /** Closes all files of a directory: its log is not opened, or closed. */
  async closeWithin(directory: string): Promise<void> {
    for (const path of [...this.#entries.keys()]) if (path.startsWith(`${directory}/`)) await this.close(path);
  }

  #open(path: string): Entry {
    return { file: this.#disk.open(path, 'write'), opened: undefined, userCount: 0, isClosing: false };
  }

  async #opened(path: string, entry: Entry): Promise<DiskFile> {
    try {
      entry.opened = await entry.file;
      return entry.opened;
    } catch (error) {
      // A failed opening is not kept: the next use tries again.
      if (this.#entries.get(path) === entry) this.#entries.delete(path);
      entry.isClosing = false;
      throw error;
    }
  }

  async #closeIdle(): Promise<void> {
    for (const [path, entry] of this.#entries) {
      if (this.#entries.size <= this.#countMax) return;
      if (entry.userCount > 0) continue;
      this.#entries.delete(path);
      await (await entry.file).close();
    }
  }
}
