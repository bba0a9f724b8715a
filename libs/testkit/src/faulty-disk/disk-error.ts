/** An error as the operating system gives it: `code` says what. `POWER_OFF` is of the simulation alone. */
export function diskError(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code });
}
