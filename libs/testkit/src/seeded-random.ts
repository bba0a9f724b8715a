/** A source of chance that a seed decides: the same seed gives the same numbers for ever (sfc32, four words of state). */
export class SeededRandom {
  #a: number;
  #b: number;
  #c = 0x9e3779b9;
  #d = 1;

  /** Seeds are integers; neighbours give unrelated numbers. */
  constructor(seed: number) {
    this.#a = seed >>> 0;
    this.#b = Math.floor(seed / 2 ** 32) >>> 0;
    for (let round = 0; round < 12; round += 1) this.word();
  }

  /** A generator of its own, so that what one part draws does not change what another part gets. */
  fork(): SeededRandom {
    return new SeededRandom(this.word() + this.word() * 2 ** 20);
  }

  /** Uniform in 0 .. 2^32 - 1. */
  word(): number {
    const sum = (this.#a + this.#b + this.#d) >>> 0;
    this.#d = (this.#d + 1) >>> 0;
    this.#a = (this.#b ^ (this.#b >>> 9)) >>> 0;
    this.#b = (this.#c + (this.#c << 3)) >>> 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) >>> 0;
    return sum;
  }

  /** An integer in 0 .. count - 1. */
  below(count: number): number {
    return Math.floor((this.word() / 2 ** 32) * count);
  }

  /** An integer in low .. high, both included. */
  between(low: number, high: number): number {
    return low + this.below(high - low + 1);
  }

  /** True with that probability. */
  chance(probability: number): boolean {
    return this.word() < probability * 2 ** 32;
  }

  /** One of the list, which is not empty. */
  pick<Item>(list: readonly Item[]): Item {
    const item = list[this.below(list.length)];
    if (item === undefined) throw new Error('there is nothing to pick from');
    return item;
  }
}
