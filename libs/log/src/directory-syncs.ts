/**
 * Syncs of directories that many logs have their names in. Calls that come while a sync of the directory is under way
 * share the next one, so that a thousand new replicas do not cost a thousand syncs of their topic's directory.
 */
import type { Disk } from './disk.ts';

export class DirectorySyncs {
  readonly #disk: Disk;
  /** By directory: the sync that has not begun. */
  readonly #next = new Map<string, Promise<void>>();
  /** By directory: the last one that was asked for; the one under way, or what comes behind it. */
  readonly #last = new Map<string, Promise<void>>();

  constructor(disk: Disk) {
    this.#disk = disk;
  }

  /** Resolves when every name that the directory had at the call is durable. Rejects as that sync does. */
  async sync(directory: string): Promise<void> {
    const joined = this.#next.get(directory);
    if (joined !== undefined) return joined;
    const mine = this.#behind(this.#last.get(directory), directory);
    this.#next.set(directory, mine);
    this.#last.set(directory, mine);
    try {
      await mine;
    } finally {
      if (this.#last.get(directory) === mine) this.#last.delete(directory);
    }
  }

  async #behind(before: Promise<void> | undefined, directory: string): Promise<void> {
    // Whatever else is asked for in this turn of the event loop joins in.
    await (before ?? Promise.resolve()).catch(() => undefined);
    this.#next.delete(directory);
    await this.#disk.syncDirectory(directory);
  }
}
