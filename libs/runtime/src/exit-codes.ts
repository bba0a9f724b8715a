/** How a server process ends, as its supervisor sees it. */
export const EXIT_CODES = {
  /** Drained and stopped as asked. */
  clean: 0,
  /** A bug or a fault of the machine; start it again. */
  crash: 1,
  /** The configuration is wrong; starting again does not help. */
  configuration: 2,
  /** The data directory is locked, foreign, unreadable or of a newer format. */
  dataDirectory: 3,
  /** The cluster refused this process: wrong cluster, id in use, version too far away. */
  refused: 4,
} as const;

export type ExitCode = (typeof EXIT_CODES)[keyof typeof EXIT_CODES];

/** Ends the process with `code`. The message is for the operator and says what to do; no stack is logged. */
export class ExitError extends Error {
  override readonly name = 'ExitError';
  readonly code: ExitCode;

  constructor(code: ExitCode, message: string, options: { cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
  }
}
