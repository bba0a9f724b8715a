/** The log of a simulated process: lines of the trace, when somebody reads it. */
import type { LogFields, LogLevel, ProcessLogger } from '@partita/runtime';

type Write = (level: LogLevel, fields: LogFields, message: string) => void;

/** A logger that hands every line to `write`. */
export function simulatedLogger(write: Write, own: LogFields = {}): ProcessLogger {
  const method =
    (level: LogLevel) =>
    (first: LogFields | string, message?: string): void => {
      if (typeof first === 'string') write(level, own, first);
      else write(level, { ...own, ...first }, message ?? '');
    };
  return {
    trace: method('trace'),
    debug: method('debug'),
    info: method('info'),
    warn: method('warn'),
    error: method('error'),
    fatal: method('fatal'),
    child: (fields) => simulatedLogger(write, { ...own, ...fields }),
    isLevelEnabled: () => true,
    level: () => 'trace',
    setLevel: () => undefined,
    changeLevel: () => 'trace',
    lineCount: () => 0,
  };
}

/** A line as people read it. */
export function lineOf(level: LogLevel, { err, ...fields }: LogFields, message: string): string {
  const why = err instanceof Error ? ` (${err.message})` : '';
  const text = Object.keys(fields).length === 0 ? '' : ` ${JSON.stringify(fields, replacer)}`;
  return `${level} ${message}${why}${text}`;
}

function replacer(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}
