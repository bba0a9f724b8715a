/** A broken invariant: a bug, never an operating fault. Whoever owns the state stops serving it. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError';
}

/**
 * Asserts in production too. `message` says what must hold, with the values that do not; on paths that are taken for
 * every batch it is a function, so that the text is made only when it is needed.
 */
export function invariant(condition: boolean, message: string | (() => string)): asserts condition {
  if (!condition) throw new InvariantError(typeof message === 'string' ? message : message());
}
