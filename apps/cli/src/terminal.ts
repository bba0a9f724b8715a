/**
 * What a command sees of its process. Data goes to stdout, everything else to stderr. A reader that is gone (`| head`)
 * ends the command quietly.
 */
import { EXIT } from './exit-code.ts';

export interface Terminal {
  readonly stdin: NodeJS.ReadStream;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Writes a line of data. Resolves when more may be written. */
  line(text: string): Promise<void>;
  /** Resolves when all data is written. */
  flushed(): Promise<void>;
  /** Writes a line for people. */
  note(text: string): void;
  /** Replaces the progress line; nothing unless stderr is a terminal. */
  progress(text: string): void;
  /** True when stdout is a screen, which can be cleared. */
  readonly isScreen: boolean;
  /** Clears the screen. */
  clear(): void;
  /** Width of the screen; 100 when stdout is none. */
  readonly columns: number;
  /** True when stdout may be coloured: a terminal, and no NO_COLOR. */
  readonly colors: boolean;
  /** Aborted by the first Ctrl-C; a second one ends the process at once. */
  readonly interrupted: AbortSignal;
}

/** The cursor to the top left, and everything behind it away. */
const CLEAR_SCREEN = '\u001B[H\u001B[J';
/** A file or a pipe has no width of its own; this fits most screens. */
const PLAIN_COLUMNS = 100;
const CLEAR_LINE = '\r\u001B[2K';

export function processTerminal(): Terminal {
  const { stdin, stdout, stderr, env } = process;
  const interruption = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (interruption.signal.aborted) process.exit(EXIT.interrupted);
      interruption.abort();
    });
  }
  let progressShown = false;
  for (const stream of [stdout, stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      process.exit(error.code === 'EPIPE' ? EXIT.ok : EXIT.failed);
    });
  }
  return {
    stdin,
    env,
    isScreen: stdout.isTTY,
    clear: () => void stdout.write(CLEAR_SCREEN),
    columns: stdout.isTTY ? stdout.columns : PLAIN_COLUMNS,
    colors: stdout.isTTY && stdout.hasColors(),
    interrupted: interruption.signal,
    line(text) {
      if (stdout.write(`${text}\n`)) return Promise.resolve();
      return new Promise((resolve) => stdout.once('drain', resolve));
    },
    flushed() {
      return new Promise((resolve) => stdout.write('', () => resolve()));
    },
    note(text) {
      stderr.write(`${progressShown ? CLEAR_LINE : ''}${text}\n`);
      progressShown = false;
    },
    progress(text) {
      if (!stderr.isTTY) return;
      stderr.write(`${CLEAR_LINE}${text}`);
      progressShown = true;
    },
  };
}
