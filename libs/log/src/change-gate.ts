/**
 * Keeps readings of a log and changes of its files apart, without a lock around each reading. Changes run one after the
 * other. A reading that a change overtook may have seen bytes, names or indexes of both worlds: its outcome, whatever it
 * is, is thrown away, and it begins again.
 */
export class ChangeGate {
  /** The change under way and those behind it. Never rejects. */
  #last: Promise<unknown> = Promise.resolve();
  /** Under way while readings must not even begin. Never rejects. */
  #closed: Promise<unknown> | undefined;
  /** Grows with each change that a reading could notice. */
  #changeCount = 0;

  /** Runs a change when the ones before it are done. */
  async alone<Result>(change: () => Promise<Result>): Promise<Result> {
    const mine = this.#last.then(change);
    this.#last = mine.catch(() => undefined);
    return mine;
  }

  /** Runs the middle of a change in which files are neither the old ones nor the new: readings wait for its end. */
  async closed<Result>(change: () => Promise<Result>): Promise<Result> {
    this.#changeCount += 1;
    const mine = change();
    const settled = mine.then(
      () => undefined,
      () => undefined,
    );
    this.#closed = settled;
    try {
      return await mine;
    } finally {
      this.#changeCount += 1;
      if (this.#closed === settled) this.#closed = undefined;
    }
  }

  /** Tells that files are about to go away: readings that have begun begin again if they miss them. */
  overtake(): void {
    this.#changeCount += 1;
  }

  /** Resolves when no change is under way. */
  async settled(): Promise<void> {
    await this.#last;
  }

  /** Runs a reading outside of any change, again until none has overtaken it. */
  async read<Result>(reading: () => Promise<Result>): Promise<Result> {
    for (;;) {
      while (this.#closed !== undefined) await this.#closed;
      const changeCount = this.#changeCount;
      try {
        const result = await reading();
        if (changeCount === this.#changeCount) return result;
      } catch (error) {
        if (changeCount === this.#changeCount) throw error;
      }
    }
  }
}
