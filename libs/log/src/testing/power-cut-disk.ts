/**
 * A memory disk that loses power before a chosen operation. Of the names that were made, replaced or removed since the last
 * sync of the directory each one survives or not as the test says: journals keep an order, but the port promises none.
 */
import { MemoryDisk } from '@partita/testkit';
import type { Disk, DiskFile, FreeBytes, OpenMode } from '../disk.ts';

/** Thrown by the operation that met the power cut, and by all after it. */
export class PowerCut extends Error {
  override readonly name = 'PowerCut';
}

interface NameChange {
  readonly remove: string;
  /** What takes its name, with its content at that time; undefined for a removal. */
  readonly to: string | undefined;
  readonly content: Buffer;
}

export class PowerCutDisk implements Disk {
  readonly memory: MemoryDisk;
  /** Operations that changed something, so far. */
  operationCount = 0;
  readonly #cutAt: number;
  #unsynced: NameChange[] = [];

  /** Cuts the power before the change with that number, from 0. */
  constructor(memory: MemoryDisk, cutAt = Infinity) {
    this.memory = memory;
    this.#cutAt = cutAt;
  }

  /** The disk after the cut; `survives` is asked for each change of a name that was not synced, in their order. */
  async restart(survives: () => boolean): Promise<MemoryDisk> {
    const { memory } = this;
    memory.crash(() => survives());
    for (const { remove, to, content } of this.#unsynced.filter(() => survives())) {
      if (to !== undefined) {
        if (!memory.has(remove)) await put(memory, remove, content);
        await memory.rename(remove, to);
      } else if (memory.has(remove)) {
        await memory.unlink(remove);
      }
      await memory.syncDirectory(parentOf(remove));
    }
    return memory;
  }

  open(path: string, mode: OpenMode): Promise<DiskFile> {
    if (mode !== 'read') this.#begin();
    return this.memory.open(path, mode);
  }

  list(directory: string): Promise<string[]> {
    return this.memory.list(directory);
  }

  fileBytes(path: string): Promise<number> {
    return this.memory.fileBytes(path);
  }

  makeDirectory(directory: string): Promise<void> {
    return this.memory.makeDirectory(directory);
  }

  async rename(from: string, to: string): Promise<void> {
    this.#begin();
    this.#unsynced.push({ remove: from, to, content: await this.memory.readFile(from) });
    await this.memory.rename(from, to);
  }

  async unlink(path: string): Promise<void> {
    this.#begin();
    await this.memory.unlink(path);
    this.#unsynced.push({ remove: path, to: undefined, content: Buffer.alloc(0) });
  }

  async syncDirectory(directory: string): Promise<void> {
    this.#begin();
    await this.memory.syncDirectory(directory);
    this.#unsynced = [];
  }

  readFile(path: string): Promise<Buffer> {
    return this.memory.readFile(path);
  }

  /** In its steps, so that the power can be cut between them. */
  async writeFileAtomically(path: string, content: Uint8Array): Promise<void> {
    const temporary = `${path}.new`;
    this.#begin();
    if (this.memory.has(temporary)) await this.memory.unlink(temporary);
    const file = await this.memory.open(temporary, 'create');
    await file.writev([content], 0);
    this.#begin();
    await file.datasync();
    await this.rename(temporary, path);
    await this.syncDirectory(parentOf(path));
  }

  freeBytes(directory: string): Promise<FreeBytes> {
    return this.memory.freeBytes(directory);
  }

  #begin(): void {
    if (this.operationCount >= this.#cutAt) throw new PowerCut();
    this.operationCount += 1;
  }
}

async function put(disk: MemoryDisk, path: string, content: Buffer): Promise<void> {
  const file = await disk.open(path, 'create');
  await file.writev([content], 0);
  await file.datasync();
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'));
}
