/**
 * An operator's resets of one partition of a group. A reset is an operation like others: it takes effect somewhere between its
 * invocation and its completion, and a member may be told of the new position before the operator is.
 */
interface OpenReset {
  readonly offset: number;
  /** A member was told of it. */
  hasEffect: boolean;
}

export class GroupResets {
  /** By operation: without a completion, or with an unknown one. */
  readonly #open = new Map<number, OpenReset>();
  #happenedAt = -1;

  /** True once a reset has happened for sure. */
  get haveHappened(): boolean {
    return this.#happenedAt >= 0;
  }

  begin(op: number, offset: number): void {
    this.#open.set(op, { offset, hasEffect: false });
  }

  refuse(op: number): void {
    this.#open.delete(op);
  }

  /** It happened. True when nobody was told of it before: the position is now this one. */
  end(op: number, index: number): boolean {
    const isNews = this.#open.get(op)?.hasEffect !== true;
    this.#open.delete(op);
    if (isNews) this.#happenedAt = index;
    return isNews;
  }

  /** A member begins there: true when an open reset explains it, which from then on has happened. */
  takeEffect(position: number, index: number): boolean {
    for (const reset of this.#open.values()) {
      if (reset.offset !== position || reset.hasEffect) continue;
      reset.hasEffect = true;
      this.#happenedAt = index;
      return true;
    }
    return false;
  }

  /** Whether an operation that began there and completes now may have happened before a reset did. */
  mayPrecede(invokedAt: number): boolean {
    return invokedAt < this.#happenedAt;
  }
}
