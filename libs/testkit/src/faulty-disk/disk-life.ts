/** A FaultyDisk as one program sees it, from its start to its end. It has the shape of libs/log's `Disk`. */
import { CachedFile, SECTOR_BYTES } from './cached-file.ts';
import type { DiskCallKind } from './disk-faults.ts';
import { diskError } from './disk-error.ts';
import type { FaultyDisk } from './faulty-disk.ts';
import { parentOf } from './name-table.ts';

/** What a call does when it succeeds, and what it does when it fails or the life ends under it. */
interface Effects<Result> {
  readonly whole: () => Result;
  readonly part?: (code: string) => void;
}

export class DiskLife {
  readonly #disk: FaultyDisk;

  /** Use FaultyDisk.start. */
  constructor(disk: FaultyDisk) {
    this.#disk = disk;
  }

  async open(path: string, mode: 'read' | 'write' | 'create'): Promise<FaultyFile> {
    return this.call(mode === 'create' ? 'create' : 'open', path, {
      whole: () => {
        if (mode === 'create') this.#create(path);
        return new FaultyFile(this, this.#disk, this.#file(path), path, mode !== 'read');
      },
    });
  }

  async list(directory: string): Promise<string[]> {
    await this.look(directory);
    if (!this.#disk.names.isDirectory(directory)) throw diskError('ENOENT', directory);
    return this.#disk.names.list(directory);
  }

  async makeDirectory(directory: string): Promise<void> {
    await this.look(directory);
    const missing: string[] = [];
    for (let path = directory; !this.#disk.names.isDirectory(path); path = parentOf(path)) missing.unshift(path);
    for (const path of missing) this.#disk.names.add(path, 'directory');
  }

  async rename(from: string, to: string): Promise<void> {
    await this.call('rename', from, { whole: () => this.#disk.names.rename(from, to, this.#file(from)) });
  }

  async unlink(path: string): Promise<void> {
    await this.call('unlink', path, {
      whole: () => {
        this.#file(path);
        this.#disk.names.remove(path);
      },
    });
  }

  async syncDirectory(directory: string): Promise<void> {
    await this.call('syncDirectory', directory, { whole: () => this.#disk.names.sync(directory) });
  }

  async fileBytes(path: string): Promise<number> {
    await this.look(path);
    return this.#file(path).content().length;
  }

  async readFile(path: string): Promise<Buffer> {
    return this.call('read', path, { whole: () => this.flipped(path, this.#file(path).content()) });
  }

  /** As node-disk.ts does it: a temporary file, a sync, a rename, a sync of the directory. */
  async writeFileAtomically(path: string, content: Uint8Array): Promise<void> {
    const temporary = `${path}.new`;
    if (this.#disk.names.file(temporary) !== undefined) await this.unlink(temporary);
    const file = await this.open(temporary, 'create');
    await file.writev([content], 0);
    await file.datasync();
    await file.close();
    await this.rename(temporary, path);
    await this.syncDirectory(parentOf(path));
  }

  async freeBytes(directory: string): Promise<{ freeBytes: number; totalBytes: number }> {
    await this.look(directory);
    const { capacityBytes } = this.#disk;
    return { freeBytes: Math.max(0, capacityBytes - this.#disk.usedBytes()), totalBytes: capacityBytes };
  }

  /** Runs a call that can fail. Used by the files, too. */
  async call<Result>(kind: DiskCallKind, path: string, effects: Effects<Result>): Promise<Result> {
    this.#disk.checkAlive(this, path);
    const whole = (): void => {
      try {
        effects.whole();
      } catch {
        // What the program would have been told; it is gone.
      }
    };
    const cutShort = (): void => {
      if (effects.part !== undefined && this.#disk.random.chance(0.7)) effects.part('POWER_OFF');
      else whole();
    };
    const code = this.#disk.arrive(kind, path, cutShort);
    await this.#disk.wait(cutShort);
    this.#disk.checkAlive(this, path);
    if (code === undefined) {
      const result = effects.whole();
      this.#disk.note({ kind, path, outcome: 'ok' });
      return result;
    }
    effects.part?.(code);
    this.#disk.note({ kind, path, outcome: code });
    throw diskError(code, path);
  }

  /** A call that only looks, and never fails by itself. */
  async look(path: string): Promise<void> {
    this.#disk.checkAlive(this, path);
    await Promise.resolve();
    this.#disk.checkAlive(this, path);
  }

  /** The bytes that a read hands over: as they are, or with one bit wrong. */
  flipped<Bytes extends Uint8Array>(path: string, bytes: Bytes): Bytes {
    const { rates, random } = this.#disk;
    if (rates.readFlip === 0 || bytes.length === 0 || !random.chance(rates.readFlip)) return bytes;
    const at = random.below(bytes.length);
    bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
    this.#disk.note({ kind: 'read', path, outcome: 'read flip' });
    return bytes;
  }

  #create(path: string): void {
    const { names } = this.#disk;
    if (names.file(path) !== undefined) throw diskError('EEXIST', path);
    if (!names.isDirectory(parentOf(path))) throw diskError('ENOENT', path);
    names.add(path, new CachedFile());
  }

  #file(path: string): CachedFile {
    const file = this.#disk.names.file(path);
    if (file === undefined) throw diskError('ENOENT', path);
    return file;
  }
}

/** An open file of a FaultyDisk. */
export class FaultyFile {
  readonly #life: DiskLife;
  readonly #disk: FaultyDisk;
  readonly #file: CachedFile;
  readonly #path: string;
  readonly #writable: boolean;

  /** Use DiskLife.open. */
  constructor(life: DiskLife, disk: FaultyDisk, file: CachedFile, path: string, writable: boolean) {
    this.#life = life;
    this.#disk = disk;
    this.#file = file;
    this.#path = path;
    this.#writable = writable;
  }

  async read(buffer: Uint8Array, position: number): Promise<number> {
    return this.#life.call('read', this.#path, {
      whole: () => {
        const count = this.#file.read(buffer, position);
        this.#life.flipped(this.#path, buffer.subarray(0, count));
        return count;
      },
    });
  }

  /** When it fails, any part of the bytes may be written. */
  async writev(buffers: readonly Uint8Array[], position: number): Promise<void> {
    const bytes = buffers.length === 1 ? (buffers[0] ?? Buffer.alloc(0)) : Buffer.concat(buffers);
    const writePart = (): void => {
      const end = position + this.#disk.random.below(bytes.length + 1);
      // What is written over is torn between sectors only; what is added ends anywhere.
      const torn = end < this.#file.size ? Math.max(position, end - (end % SECTOR_BYTES)) : end;
      this.#file.write(bytes.subarray(0, torn - position), position);
    };
    await this.#life.call('writev', this.#path, {
      whole: () => {
        if (!this.#writable) throw diskError('EBADF', this.#path);
        const growth = position + bytes.length - this.#file.size;
        if (growth > 0 && this.#disk.usedBytes() + growth > this.#disk.capacityBytes) {
          writePart();
          this.#disk.note({ kind: 'writev', path: this.#path, outcome: 'ENOSPC' });
          throw diskError('ENOSPC', this.#path);
        }
        this.#file.write(bytes, position);
      },
      part: writePart,
    });
  }

  /** Either half may fail. */
  async writeSynced(buffers: readonly Uint8Array[], position: number): Promise<void> {
    await this.writev(buffers, position);
    await this.datasync();
  }

  async datasync(): Promise<void> {
    await this.#life.call('datasync', this.#path, {
      whole: () => this.#file.sync(),
      part: (code) => {
        // A power cut keeps dirty pages or not anyway.
        if (code !== 'POWER_OFF') this.#file.failSync(this.#disk.random);
      },
    });
  }

  async truncate(size: number): Promise<void> {
    await this.#life.call('truncate', this.#path, { whole: () => this.#file.truncate(size) });
  }

  async size(): Promise<number> {
    await this.#life.look(this.#path);
    return this.#file.size;
  }

  async close(): Promise<void> {
    await Promise.resolve();
  }
}
