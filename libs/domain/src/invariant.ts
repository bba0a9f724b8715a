/** A broken invariant: a bug, never an operating fault. Whoever owns the state stops serving it. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError';
}

/** Asserts in production too. `message` says what must hold, with the values that do not. */
export function invariant(condition: boolean, message: string): asserts condition {
  if (!condition) throw new InvariantError(message);
}
