/**
 * The disk of a simulated machine as one process sees it: syncs take time, sometimes long; what a dead process asked for
 * is never answered; and the machine tells of itself under /proc, as libs/log's host.ts reads it.
 */
import type { Disk, DiskFile, FreeBytes, OpenMode } from '@partita/log';
import type { DiskLife, FaultyDisk, SeededRandom } from '@partita/testkit';
import { currentProcess } from './processes.ts';
import type { SimulatedProcess } from './processes.ts';
import type { VirtualTime } from './virtual-time.ts';

/** How long syncs take. */
export interface DiskPace {
  readonly syncMsMax: number;
  /** Share of syncs that stall, and for how long at most. */
  readonly stallShare: number;
  readonly stallMsMax: number;
}

interface ClusterDiskOptions {
  readonly disk: FaultyDisk;
  readonly time: VirtualTime;
  readonly random: SeededRandom;
  readonly pace: DiskPace;
  readonly bootId: string;
  /** Differs between two processes. */
  readonly startTime: number;
}

const BOOT_ID_PATH = '/proc/sys/kernel/random/boot_id';

export class ClusterDisk implements Disk {
  readonly #options: ClusterDiskOptions;
  readonly #life: DiskLife;

  constructor(options: ClusterDiskOptions) {
    this.#options = options;
    this.#life = options.disk.start();
  }

  async open(path: string, mode: OpenMode): Promise<DiskFile> {
    const file = await this.#alive(this.#life.open(path, mode));
    return {
      read: (buffer, position) => this.#alive(file.read(buffer, position)),
      writev: (buffers, position) => this.#alive(file.writev(buffers, position)),
      writeSynced: async (buffers, position) => {
        await this.#alive(file.writev(buffers, position));
        await this.#synced(() => file.datasync());
      },
      datasync: () => this.#synced(() => file.datasync()),
      truncate: (size) => this.#alive(file.truncate(size)),
      size: () => this.#alive(file.size()),
      close: () => this.#alive(file.close()),
    };
  }

  list(directory: string): Promise<string[]> {
    return this.#alive(this.#life.list(directory));
  }

  makeDirectory(directory: string): Promise<void> {
    return this.#alive(this.#life.makeDirectory(directory));
  }

  rename(from: string, to: string): Promise<void> {
    return this.#alive(this.#life.rename(from, to));
  }

  unlink(path: string): Promise<void> {
    return this.#alive(this.#life.unlink(path));
  }

  syncDirectory(directory: string): Promise<void> {
    return this.#synced(() => this.#life.syncDirectory(directory));
  }

  fileBytes(path: string): Promise<number> {
    return this.#alive(this.#life.fileBytes(path));
  }

  async readFile(path: string): Promise<Buffer> {
    if (path === BOOT_ID_PATH) return Buffer.from(this.#options.bootId);
    if (path.startsWith('/proc/')) return Buffer.from(this.#stat());
    return this.#alive(this.#life.readFile(path));
  }

  writeFileAtomically(path: string, content: Uint8Array): Promise<void> {
    return this.#synced(() => this.#life.writeFileAtomically(path, content));
  }

  freeBytes(directory: string): Promise<FreeBytes> {
    return this.#alive(this.#life.freeBytes(directory));
  }

  /** `rm -rf`. */
  async removeTree(path: string): Promise<void> {
    const { names } = this.#options.disk;
    if (!names.isDirectory(path)) return;
    for (const name of await this.list(path)) {
      const below = `${path}/${name}`;
      if (names.isDirectory(below)) await this.removeTree(below);
      else await this.unlink(below);
    }
    names.remove(path);
  }

  /** Moves a directory with the files in it. */
  async moveTree(from: string, to: string): Promise<void> {
    const { disk } = this.#options;
    await this.makeDirectory(to);
    for (const name of await this.list(from)) {
      const file = disk.names.file(`${from}/${name}`);
      if (file === undefined) continue;
      disk.names.remove(`${from}/${name}`);
      disk.names.add(`${to}/${name}`, file);
    }
    disk.names.remove(from);
  }

  /** As /proc tells of a process that lives: its name, then fields, of which the 20th is when it started. */
  #stat(): string {
    const fields = Array.from({ length: 30 }, () => '0');
    fields[0] = 'S';
    fields[19] = String(this.#options.startTime);
    return `1 (partita) ${fields.join(' ')}`;
  }

  async #synced(work: () => Promise<void>): Promise<void> {
    const { time, random, pace } = this.#options;
    const { syncMsMax, stallShare, stallMsMax } = pace;
    const stallMs = stallShare > 0 && random.chance(stallShare) ? random.below(stallMsMax + 1) : 0;
    await time.sleep(stallMs + (syncMsMax * random.word()) / 2 ** 32);
    await this.#alive(work());
  }

  /** The answer, to a process that lives to hear it. */
  async #alive<Result>(answer: Promise<Result>): Promise<Result> {
    const process: SimulatedProcess | undefined = currentProcess();
    const never = new Promise<Result>(() => undefined);
    try {
      const result = await answer;
      return process?.isAlive === false ? await never : result;
    } catch (error) {
      if (process?.isAlive === false) return never;
      throw error;
    }
  }
}
