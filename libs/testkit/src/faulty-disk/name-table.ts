/**
 * The names of a disk: what programs see, what is on the device, and the changes in between. A sync of a directory makes
 * its changes durable; a power cut keeps each of the others or not, by itself, in no order; a rename is one change.
 */
import type { SeededRandom } from '../seeded-random.ts';
import type { CachedFile } from './cached-file.ts';

/** What a name stands for. */
type Named = CachedFile | 'directory';

/** A change of names: `removed` goes, `path` comes; either may be absent. */
interface NameChange {
  readonly directory: string;
  readonly removed?: string;
  readonly path?: string;
  readonly named?: Named;
}

export class NameTable {
  #seen = new Map<string, Named>([['/', 'directory']]);
  #durable = new Map<string, Named>([['/', 'directory']]);
  #changes: NameChange[] = [];

  /** The file of that name. */
  file(path: string): CachedFile | undefined {
    const named = this.#seen.get(path);
    return named === 'directory' ? undefined : named;
  }

  isDirectory(path: string): boolean {
    return this.#seen.get(path) === 'directory';
  }

  /** Names in the directory, sorted. */
  list(directory: string): string[] {
    const below = [...this.#seen.keys()].filter((path) => path !== '/' && parentOf(path) === directory);
    return below.map((path) => path.slice(path.lastIndexOf('/') + 1)).sort();
  }

  /** Every file with its path, in the order of the paths. */
  files(): [string, CachedFile][] {
    const found: [string, CachedFile][] = [];
    for (const [path, named] of this.#seen) if (named !== 'directory') found.push([path, named]);
    return found.sort(([one], [other]) => (one < other ? -1 : 1));
  }

  add(path: string, named: Named): void {
    this.#change({ directory: parentOf(path), path, named });
  }

  remove(path: string): void {
    this.#change({ directory: parentOf(path), removed: path });
  }

  /** Gives the file another name in the same directory. */
  rename(from: string, to: string, file: CachedFile): void {
    if (parentOf(from) !== parentOf(to)) throw new Error(`${from} is renamed within its directory only`);
    this.#change({ directory: parentOf(to), removed: from, path: to, named: file });
  }

  sync(directory: string): void {
    for (const change of this.#changes) if (change.directory === directory) apply(this.#durable, change);
    this.#changes = this.#changes.filter((change) => change.directory !== directory);
  }

  /** A power cut: programs see what is on the device. Everything below a lost directory is lost. */
  crash(random: SeededRandom): void {
    const share = random.pick([0, 0.3, 0.5, 0.7, 1]);
    for (const change of this.#changes) if (random.chance(share)) apply(this.#durable, change);
    this.#changes = [];
    for (const path of [...this.#durable.keys()].sort()) {
      if (this.#durable.get(parentOf(path)) !== 'directory') this.#durable.delete(path);
    }
    this.#seen = new Map(this.#durable);
  }

  #change(change: NameChange): void {
    apply(this.#seen, change);
    this.#changes.push(change);
  }
}

function apply(names: Map<string, Named>, change: NameChange): void {
  if (change.removed !== undefined) names.delete(change.removed);
  if (change.path !== undefined && change.named !== undefined) names.set(change.path, change.named);
}

/** The directory that holds the name. */
export function parentOf(path: string): string {
  const slash = path.lastIndexOf('/');
  return slash <= 0 ? '/' : path.slice(0, slash);
}
