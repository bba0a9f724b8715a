/** A number that grew while a history went on, so that one can ask how far it was when an operation began. */
export class Rising {
  readonly #indexes: number[] = [];
  readonly #values: number[] = [];

  /** The newest value; undefined before the first. */
  get now(): number | undefined {
    return this.#values.at(-1);
  }

  /** Notes a value at an index of the history, not below earlier indexes. Lower values change nothing. */
  raise(index: number, value: number): void {
    const { now } = this;
    if (now === undefined || value > now) this.#push(index, value);
  }

  /** The value becomes this one, even if it is lower. */
  reset(index: number, value: number): void {
    this.#push(index, value);
  }

  /** What it was when the event of this index happened. */
  before(index: number): number | undefined {
    let from = 0;
    for (let to = this.#indexes.length; from < to;) {
      const middle = (from + to) >>> 1;
      if ((this.#indexes[middle] ?? Infinity) < index) from = middle + 1;
      else to = middle;
    }
    return this.#values[from - 1];
  }

  #push(index: number, value: number): void {
    this.#indexes.push(index);
    this.#values.push(value);
  }
}

/** The entry of a map, made when it is asked for first. */
export function entryOf<Key, Value>(map: Map<Key, Value>, key: Key, make: () => Value): Value {
  let value = map.get(key);
  if (value === undefined) map.set(key, (value = make()));
  return value;
}
