/** Errors that repeat, said once in a while: a peer that is down fails a hundred calls a second for one reason. */
import { LOG_REPEAT_KEY_COUNT_MAX, LOG_REPEAT_MS } from '@partita/domain';
import type { Clock } from '@partita/domain';
import type { LogFields, Logger } from './logger.ts';

/** Writes the first line of a key at once, then at most one per interval with the count of those `suppressed` between. */
export interface RepeatedLog {
  warn(key: string, fields: LogFields, message: string): void;
  error(key: string, fields: LogFields, message: string): void;
}

interface Repeats {
  /** Monotonic time of the last line that was written. */
  writtenMs: number;
  suppressed: number;
}

/** `key` names what repeats (`fetch:3`); it is not logged. */
export function createRepeatedLog(
  logger: Pick<Logger, 'warn' | 'error'>,
  clock: Pick<Clock, 'monotonicMs'>,
  intervalMs: number = LOG_REPEAT_MS,
): RepeatedLog {
  const repeatsOf = new Map<string, Repeats>();

  function log(level: 'warn' | 'error', key: string, fields: LogFields, message: string): void {
    const nowMs = clock.monotonicMs();
    const repeats = repeatsOf.get(key);
    if (repeats !== undefined && nowMs - repeats.writtenMs < intervalMs) {
      repeats.suppressed += 1;
      return;
    }
    // Deleting first keeps the map ordered by the last line written, so the first key is the oldest.
    repeatsOf.delete(key);
    repeatsOf.set(key, { writtenMs: nowMs, suppressed: 0 });
    if (repeatsOf.size > LOG_REPEAT_KEY_COUNT_MAX) {
      const [oldest] = repeatsOf.keys();
      if (oldest !== undefined) repeatsOf.delete(oldest);
    }
    const suppressed = repeats?.suppressed ?? 0;
    logger[level](suppressed === 0 ? fields : { ...fields, suppressed }, message);
  }

  return {
    warn: (key, fields, message) => log('warn', key, fields, message),
    error: (key, fields, message) => log('error', key, fields, message),
  };
}
