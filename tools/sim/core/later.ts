/**
 * A promise that calls back at once when the simulation settles it, without a turn of the event loop: the core uses no more
 * of a promise than `then`, and a run without waiting is several times as fast. It is never settled before `then` was called.
 */
export class Later<Result> implements Promise<Result> {
  readonly [Symbol.toStringTag] = 'Later';
  #onValue: ((value: Result) => unknown) | null | undefined;
  #onError: ((error: unknown) => unknown) | null | undefined;

  then<Value = Result, Failure = never>(
    onValue?: ((value: Result) => Value | PromiseLike<Value>) | null,
    onError?: ((error: unknown) => Failure | PromiseLike<Failure>) | null,
  ): Promise<Value | Failure> {
    this.#onValue = onValue;
    this.#onError = onError;
    return new Later();
  }

  catch(): never {
    throw new RangeError('the core is expected to use `then` alone');
  }

  finally(): never {
    throw new RangeError('the core is expected to use `then` alone');
  }

  resolve(value: Result): void {
    this.#onValue?.(value);
  }

  reject(error: unknown): void {
    this.#onError?.(error);
  }
}
