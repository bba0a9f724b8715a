/** Bounded waiting: nothing in the tools that use it waits without an end, and each end says what it waited for. */
import { setTimeout as sleep } from 'node:timers/promises';

const POLL_MS = 50;

/** Thrown while polling: what is waited for cannot come any more. */
export class Hopeless extends Error {}

/**
 * Polls until `look` gives something other than undefined and false, and returns it. A throw counts as "not yet"; the
 * last one is the cause of the error when the time is up.
 */
export async function until<T>(
  what: string,
  secondsMax: number,
  look: () => T | undefined | false | Promise<T | undefined | false>,
): Promise<T> {
  const end = performance.now() + secondsMax * 1000;
  let last: unknown;
  for (;;) {
    try {
      const seen = await look();
      if (seen !== undefined && seen !== false) return seen;
      last = undefined;
    } catch (error) {
      if (error instanceof Hopeless) throw error;
      last = error;
    }
    if (performance.now() > end) {
      const why = last instanceof Error ? `: ${last.message}` : '';
      throw new Error(`waited ${secondsMax} s for ${what}${why}`, { cause: last });
    }
    await sleep(POLL_MS);
  }
}

/** `work`, or an error that names it when it takes longer. */
export async function within<T>(what: string, secondsMax: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took longer than ${secondsMax} s`)), secondsMax * 1000);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}
