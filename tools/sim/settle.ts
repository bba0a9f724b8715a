/** Waits for the program under simulation without real time: everything that it awaits is a matter of microtasks. */
import { Violation } from './trace.ts';

/** Turns after which a call that still waits is taken to hang. The slowest call takes well below 100 turns. */
const TURNS_MAX = 200_000;

/** A result or the error that came instead. */
export type Outcome<Result> = { readonly value: Result } | { readonly error: unknown };

/** Lets `count` turns of the event loop pass. */
export async function passTurns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await Promise.resolve();
}

/** Waits for the promise. A Violation when it never settles. */
export async function settle<Result>(promise: Promise<Result>, what: string): Promise<Outcome<Result>> {
  let outcome: Outcome<Result> | undefined;
  promise.then(
    (value) => (outcome = { value }),
    (error: unknown) => (outcome = { error }),
  );
  if ((await comesTrue(() => outcome !== undefined)) && outcome !== undefined) return outcome;
  throw new Violation(`${what} hangs`);
}

/** Waits until the condition holds; false when it does not within all the turns that anything may take. */
export async function comesTrue(condition: () => boolean, turnsMax = TURNS_MAX): Promise<boolean> {
  for (let turn = 0; turn < turnsMax; turn += 1) {
    if (condition()) return true;
    await Promise.resolve();
  }
  return condition();
}
