/** A queue: constant time at its ends, whatever its length. Bounding it is its owner's. */
const COMPACT_AT = 1024;

export class Fifo<T> {
  #items: (T | undefined)[] = [];
  /** Invariant: what was below #head has been taken, and is held no longer. */
  #head = 0;

  get length(): number {
    return this.#items.length - this.#head;
  }

  get first(): T | undefined {
    return this.#items[this.#head];
  }

  push(item: T): void {
    this.#items.push(item);
  }

  shift(): T | undefined {
    const item = this.#items[this.#head];
    if (this.#head < this.#items.length) this.#items[this.#head++] = undefined;
    if (this.#head >= COMPACT_AT && this.#head * 2 >= this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }

  /** Puts items back in front, in their order. */
  putBack(items: readonly T[]): void {
    if (items.length === 0) return;
    this.#items = [...items, ...this.#items.slice(this.#head)];
    this.#head = 0;
  }

  /** Takes out whatever meets the condition, in order; the rest keeps its order. Takes time with the length. */
  removeWhere(isOut: (item: T) => boolean): T[] {
    const out: T[] = [];
    const rest: T[] = [];
    for (const item of this.#items.slice(this.#head) as T[]) (isOut(item) ? out : rest).push(item);
    this.#items = rest;
    this.#head = 0;
    return out;
  }

  clear(): T[] {
    const rest = this.#items.slice(this.#head) as T[];
    this.#items = [];
    this.#head = 0;
    return rest;
  }
}
