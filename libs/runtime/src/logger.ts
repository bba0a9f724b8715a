/**
 * Logs of a process: JSON lines on stdout with UTC times, readable lines on a terminal. Every line names service and
 * instance, and the active trace. Writing is synchronous, so that the line before a crash is never lost; keys and values of
 * records are not logged at info and above.
 */
import { isSpanContextValid, trace } from '@opentelemetry/api';
import { destination, pino, stdSerializers, stdTimeFunctions } from 'pino';
import type { DestinationStream, Logger as GenericPino } from 'pino';
import { prettyFactory } from 'pino-pretty';

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];
type WrittenLevel = Exclude<LogLevel, 'silent'>;

/** Variable parts of a log line. An Error belongs under `err`. */
export type LogFields = Readonly<Record<string, unknown>>;

/** Writes one line: a message, with fields before it if there are any. */
export interface LogMethod {
  (message: string): void;
  (fields: LogFields, message: string): void;
}

/** What code that logs needs; nothing of pino shows through. */
export interface Logger {
  readonly trace: LogMethod;
  readonly debug: LogMethod;
  readonly info: LogMethod;
  readonly warn: LogMethod;
  readonly error: LogMethod;
  readonly fatal: LogMethod;
  /** A logger whose lines carry `fields` too. */
  child(fields: LogFields): Logger;
  isLevelEnabled(level: WrittenLevel): boolean;
}

/** The process's own logger: its level can be changed while it runs, for this logger and every child. */
export interface ProcessLogger extends Logger {
  level(): LogLevel;
  setLevel(level: LogLevel): void;
  /** The same, with a line that says so and has `fields`; the level until then. */
  changeLevel(level: LogLevel, fields: LogFields): LogLevel;
  /** Lines that this logger and all its children have written at the level. */
  lineCount(level: WrittenLevel): number;
}

export interface LoggerOptions {
  /** The service's short name: `broker`, `coordinator`. */
  readonly service: string;
  /** Which one of its kind: a broker's id, a host name and process id. */
  readonly instance: string;
  /** Default `info`. */
  readonly level?: LogLevel;
  /** Readable instead of JSON; default: when stdout is a terminal. Colours follow NO_COLOR. */
  readonly pretty?: boolean;
  /** Where lines go instead of stdout. */
  readonly output?: DestinationStream;
}

/** The logger of a process. Make one, hand it down. */
export function createLogger(options: LoggerOptions): ProcessLogger {
  // pino's own destination goes quiet when the reader of a pipe is gone, and waits when the pipe is full.
  const output = options.output ?? destination({ dest: 1, sync: true });
  const readable = options.pretty ?? process.stdout.isTTY;
  const base = pino(
    {
      level: 'trace',
      base: { service: options.service, instance: options.instance },
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: stdSerializers.err },
      mixin: activeTrace,
    },
    readable ? prettyOutput(output) : output,
  );
  return new PinoLogger(base, { value: LEVEL_VALUES[options.level ?? 'info'], lineCounts: new Map() });
}

type PinoBase = GenericPino<never, boolean>;

/** pino's numbers; a line is written when its level is at or above the threshold. */
const LEVEL_VALUES: Readonly<Record<LogLevel, number>> = {
  trace: 10,
  debug: 20,
  info: 30,
  warn: 40,
  error: 50,
  fatal: 60,
  silent: Infinity,
};

/** What a logger and all its children share; a pino child copies its parent's level when it is made. */
interface SharedState {
  /** Number of the level. */
  value: number;
  readonly lineCounts: Map<WrittenLevel, number>;
}

class PinoLogger implements ProcessLogger {
  readonly trace: LogMethod = this.#method('trace');
  readonly debug: LogMethod = this.#method('debug');
  readonly info: LogMethod = this.#method('info');
  readonly warn: LogMethod = this.#method('warn');
  readonly error: LogMethod = this.#method('error');
  readonly fatal: LogMethod = this.#method('fatal');
  readonly #pino: PinoBase;
  readonly #threshold: SharedState;

  constructor(base: PinoBase, threshold: SharedState) {
    this.#pino = base;
    this.#threshold = threshold;
  }

  child(fields: LogFields): Logger {
    return new PinoLogger(this.#pino.child(fields), this.#threshold);
  }

  isLevelEnabled(level: WrittenLevel): boolean {
    return LEVEL_VALUES[level] >= this.#threshold.value;
  }

  level(): LogLevel {
    return LOG_LEVELS.find((level) => LEVEL_VALUES[level] === this.#threshold.value) ?? 'info';
  }

  setLevel(level: LogLevel): void {
    this.#threshold.value = LEVEL_VALUES[level];
  }

  changeLevel(level: LogLevel, fields: LogFields): LogLevel {
    const previous = this.level();
    const line = { from: previous, to: level, ...fields };
    // Said while it can be heard: before the change, or after.
    const isHeard = this.isLevelEnabled('info');
    if (isHeard) this.info(line, 'log level changed');
    this.setLevel(level);
    if (!isHeard) this.info(line, 'log level changed');
    return previous;
  }

  lineCount(level: WrittenLevel): number {
    return this.#threshold.lineCounts.get(level) ?? 0;
  }

  #method(level: WrittenLevel): LogMethod {
    return (first: LogFields | string, message?: string) => {
      if (!this.isLevelEnabled(level)) return;
      this.#threshold.lineCounts.set(level, this.lineCount(level) + 1);
      if (typeof first === 'string') this.#pino[level](first);
      else this.#pino[level](first, message);
    };
  }
}

/** pino-pretty as a plain function in front of the output: no worker, no stream, nothing lost at a crash. */
function prettyOutput(output: DestinationStream): DestinationStream {
  const colorize = process.stdout.isTTY && process.stdout.hasColors();
  const format = prettyFactory({ colorize, ignore: 'service,instance', translateTime: 'UTC:HH:MM:ss.l' });
  return { write: (line) => output.write(format(line)) };
}

/** trace_id and span_id of the span that is active where the line is written. */
function activeTrace(): object {
  const span = trace.getActiveSpan()?.spanContext();
  return span !== undefined && isSpanContextValid(span) ? { trace_id: span.traceId, span_id: span.spanId } : {};
}
