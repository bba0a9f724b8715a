/**
 * One file as the kernel sees it: what programs read (the page cache), what is on the device, and which pages differ.
 * As on Linux with ext4: a sync writes the dirty pages; a failed one leaves pages that are read back but that no later
 * sync writes, unless somebody writes to them again; a power cut keeps any of the dirty pages, in no order, and may
 * extend the file with zeros where a page is missing, or end it at any byte.
 */
import type { SeededRandom } from '../seeded-random.ts';

/** Unit in which an unsynced write reaches the device or not. */
const PAGE_BYTES = 4096;
/** What a device writes in one go: what is being overwritten is torn between two of these. */
export const SECTOR_BYTES = 512;

/** How a power cut treats what was not synced of a file. */
type Loss = 'everything' | 'nothing' | 'from a byte on' | 'some pages' | 'one page';
const LOSSES: readonly Loss[] = ['everything', 'nothing', 'from a byte on', 'from a byte on', 'some pages', 'one page'];

export class CachedFile {
  #cache: Buffer = Buffer.alloc(PAGE_BYTES);
  #size = 0;
  #device: Buffer = Buffer.alloc(0);
  #deviceSize = 0;
  readonly #dirty = new Set<number>();
  /** Least size of all cuts that are not synced. */
  #cutTo: number | undefined;
  /** Places of bits that were flipped and not been written over since. */
  #flips: number[] = [];
  /** Those that are on the device: what wrote over them may be lost. */
  #deviceFlips: number[] = [];

  /** Bytes that a program sees. */
  get size(): number {
    return this.#size;
  }

  /** Positions of damaged bytes that nobody has overwritten or cut off since. */
  get flips(): readonly number[] {
    return this.#flips;
  }

  /** A copy of the bytes that a program sees. */
  content(): Buffer {
    return Buffer.from(this.#cache.subarray(0, this.#size));
  }

  /** Copies into `target` what is at the position; returns how many bytes that are. */
  read(target: Uint8Array, position: number): number {
    const end = Math.min(this.#size, position + target.length);
    if (end <= position) return 0;
    target.set(this.#cache.subarray(position, end));
    return end - position;
  }

  write(bytes: Uint8Array, position: number): void {
    if (bytes.length === 0) return;
    const end = position + bytes.length;
    this.#grow(end);
    this.#cache.set(bytes, position);
    const from = Math.min(position, this.#size);
    for (let page = Math.floor(from / PAGE_BYTES); page * PAGE_BYTES < end; page += 1) this.#dirty.add(page);
    this.#size = Math.max(this.#size, end);
    this.#flips = this.#flips.filter((at) => at < position || at >= end);
  }

  truncate(size: number): void {
    this.#grow(size);
    if (size < this.#size) {
      this.#cache.fill(0, size, this.#size);
      for (const page of this.#dirty) if (page * PAGE_BYTES >= size) this.#dirty.delete(page);
      this.#cutTo = Math.min(this.#cutTo ?? size, size);
      this.#flips = this.#flips.filter((at) => at < size);
    }
    this.#size = size;
  }

  /** What an fdatasync that answers OK does. */
  sync(): void {
    this.#applyCut();
    for (const page of this.#dirty) this.#writeBack(page);
    this.#dirty.clear();
    this.#resizeDevice(this.#size);
    this.#deviceFlips = this.#flips;
  }

  /** What an fdatasync does that fails: some pages arrive, all of them count as clean from now on. */
  failSync(random: SeededRandom): void {
    const share = random.pick([0, 0, 0.5, 0.9]);
    if (random.chance(0.5)) this.#applyCut();
    else this.#cutTo = undefined;
    for (const page of this.#dirty) {
      if (!random.chance(share)) continue;
      this.#writeBack(page);
      this.#resizeDevice(Math.max(this.#deviceSize, Math.min(this.#size, (page + 1) * PAGE_BYTES)));
    }
    this.#dirty.clear();
    if (random.chance(0.5)) this.#resizeDevice(this.#size);
  }

  /** A power cut: what was not synced is lost as chance has it, and programs see what is on the device. */
  crash(random: SeededRandom): void {
    if (this.#dirty.size > 0 || this.#cutTo !== undefined || this.#size !== this.#deviceSize) this.#lose(random);
    this.#dirty.clear();
    this.#cutTo = undefined;
    // Pages that arrived behind the end of the file are in extents that ext4 never marked as written: zeros from now on.
    this.#device.fill(0, this.#deviceSize);
    this.#size = 0;
    this.#cache.fill(0);
    this.#grow(this.#deviceSize);
    this.#device.copy(this.#cache, 0, 0, this.#deviceSize);
    this.#size = this.#deviceSize;
    this.#flips = this.#deviceFlips.filter((at) => at < this.#size);
  }

  /** Flips a bit of a stored byte, on the device too. */
  flip(position: number, bit: number): void {
    this.#cache[position] = (this.#cache[position] ?? 0) ^ (1 << bit);
    this.#device[position] = (this.#device[position] ?? 0) ^ (1 << bit);
    this.#flips = [...this.#flips, position];
    this.#deviceFlips = [...this.#deviceFlips, position];
  }

  /** Cuts the file behind everybody's back, on the device too. */
  shorten(size: number): void {
    this.truncate(size);
    this.sync();
  }

  #lose(random: SeededRandom): void {
    const loss = random.pick(LOSSES);
    const keepsCut = this.#cutTo === undefined || (loss !== 'everything' && (loss === 'nothing' || random.chance(0.5)));
    // Blocks that a cut freed take no new content before the cut itself is on the device.
    const pageEnd = keepsCut ? Infinity : Math.floor((this.#cutTo ?? 0) / PAGE_BYTES);
    if (keepsCut) this.#applyCut();
    const pages = [...this.#dirty].filter((page) => page < pageEnd).sort((one, other) => one - other);
    if (loss === 'nothing') return this.#keepAll(pages, keepsCut);
    if (loss === 'from a byte on') return this.#keepTo(random, pages, keepsCut);
    const missing = random.pick(pages.length === 0 ? [0] : pages);
    const share = random.pick([0.1, 0.5, 0.9]);
    const keeps = (page: number): boolean => (loss === 'one page' ? page !== missing : random.chance(share));
    if (loss === 'everything') return;
    for (const page of pages.filter(keeps)) {
      this.#writeBack(
        page,
        random.chance(0.1) ? random.between(1, PAGE_BYTES / SECTOR_BYTES - 1) * SECTOR_BYTES : PAGE_BYTES,
      );
      this.#resizeDevice(Math.max(this.#deviceSize, Math.min(this.#size, (page + 1) * PAGE_BYTES)));
    }
    if (keepsCut && random.chance(0.3)) this.#resizeDevice(Math.max(this.#deviceSize, this.#size));
  }

  #keepAll(pages: readonly number[], keepsCut: boolean): void {
    for (const page of pages) this.#writeBack(page);
    if (keepsCut) this.#resizeDevice(this.#size);
  }

  /** Keeps the pages in order, and ends the file at any byte of what was added to it. */
  #keepTo(random: SeededRandom, pages: readonly number[], keepsCut: boolean): void {
    const least = Math.min(this.#deviceSize, this.#size);
    if (keepsCut && this.#size > least) {
      const end = random.between(least, this.#size);
      for (const page of pages) if (page * PAGE_BYTES < end) this.#writeBack(page);
      this.#resizeDevice(end);
      return;
    }
    const count = random.below(pages.length + 1);
    for (const page of pages.slice(0, count)) this.#writeBack(page);
  }

  #applyCut(): void {
    if (this.#cutTo === undefined) return;
    this.#resizeDevice(Math.min(this.#deviceSize, this.#cutTo));
    this.#cutTo = undefined;
  }

  /** Copies a page, or its first bytes, to the device; bytes behind the device's end of the file stay unseen. */
  #writeBack(page: number, bytes = PAGE_BYTES): void {
    const from = page * PAGE_BYTES;
    this.#growDevice(from + PAGE_BYTES);
    this.#cache.copy(this.#device, from, from, Math.min(from + bytes, this.#cache.length));
  }

  #resizeDevice(size: number): void {
    this.#growDevice(size);
    if (size < this.#deviceSize) this.#device.fill(0, size, this.#deviceSize);
    this.#deviceSize = size;
  }

  #grow(size: number): void {
    if (size > this.#cache.length) this.#cache = grown(this.#cache, size);
  }

  #growDevice(size: number): void {
    if (size > this.#device.length) this.#device = grown(this.#device, size);
  }
}

function grown(bytes: Buffer, size: number): Buffer {
  const larger = Buffer.alloc(Math.ceil(Math.max(size, bytes.length * 2) / PAGE_BYTES) * PAGE_BYTES);
  bytes.copy(larger);
  return larger;
}
