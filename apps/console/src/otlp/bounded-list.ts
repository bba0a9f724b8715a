/** Items up to a number, and how many there are beyond. What is too much is not even decoded. */
const UINT32_MAX = 0xff_ff_ff_ff;

export class BoundedList<Item> {
  readonly items: Item[] = [];
  readonly #countMax: number;
  #droppedCount = 0;

  constructor(countMax: number) {
    this.#countMax = countMax;
  }

  get droppedCount(): number {
    return this.#droppedCount;
  }

  add(bytes: Uint8Array, decode: (bytes: Uint8Array) => Item): void {
    if (this.items.length < this.#countMax) this.items.push(decode(bytes));
    else this.dropped(1);
  }

  /** So many more were left out, here or before. */
  dropped(count: number): void {
    this.#droppedCount = Math.min(UINT32_MAX, this.#droppedCount + count);
  }
}
