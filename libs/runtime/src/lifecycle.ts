/**
 * The life of a server process: starting -> serving -> stopping -> gone, with the exit codes of exit-codes.ts.
 *
 * SIGTERM and SIGINT stop it: drain, close, flush traces, exit 0, all within DRAIN_MS_MAX; a second signal exits at once.
 * SIGHUP calls the reload hook. Anything uncaught is logged and ends the process with exit code 1: what recovery repairs
 * after a power cut it repairs after a bug too, while a process that goes on in an unknown state repairs nothing.
 */
import { DRAIN_MS_MAX } from '@partita/domain';
import { EXIT_CODES, ExitError } from './exit-codes.ts';
import type { LogFields, Logger } from './logger.ts';

/** A service that is up. */
export interface RunningService {
  /** Told to the log and the parent process when ready: addresses, ids. */
  readonly ready: LogFields;
  /** Ends work in progress: health NOT_SERVING, refuse new work, let calls finish. Cut off when it takes too long. */
  drain(): Promise<void>;
  /** Ends what is left and closes files and connections. Called once, after `drain` ended, failed or was cut off. */
  close(): Promise<void>;
}

export interface StartContext {
  readonly logger: Logger;
  /** Stops the process as a signal would. */
  stop(reason: string): void;
  /** Ends the process at once: an ExitError with its code, anything else as a crash. */
  fail(error: unknown): void;
}

export interface RunOptions {
  /** The service's short name, in the ready message. */
  readonly name: string;
  readonly logger: Logger;
  /** Brings the service up, and rejects with an ExitError for what an operator has to repair. */
  start(context: StartContext): Promise<RunningService>;
  /** SIGHUP: re-read TLS files and log level. A failure is logged and changes nothing. */
  reload?(): void | Promise<void>;
  /** Opened first, told when the service is up, flushed last. */
  readonly telemetry?: { open(): Promise<LogFields>; onServing(): void; shutdown(): Promise<void> };
  /** Stop when the process that forked this one is gone (its IPC channel closes), so that no orphan holds a port. */
  readonly stopWhenParentGone?: boolean;
  /** Milliseconds for drain and close together; default DRAIN_MS_MAX. */
  readonly drainMsMax?: number;
}

/** The share of the time to stop that is kept for `close`, so that a stuck client cannot cost a clean shutdown. */
const CLOSE_SHARE = 1 / 6;

/** Runs a service until it is told to stop. Call it once, last; it ends the process and its promise never settles. */
export async function runProcess(options: RunOptions): Promise<never> {
  return new Promise(() => new ProcessRun(options).begin());
}

class ProcessRun {
  readonly #options: RunOptions;
  readonly #logger: Logger;
  #state: 'starting' | 'serving' | 'stopping' = 'starting';
  #telemetryReady: LogFields = {};
  /** Settles when start has; a stop that comes earlier waits for it, because half a service cannot be closed. */
  readonly #service: Promise<RunningService>;

  constructor(options: RunOptions) {
    this.#options = options;
    this.#logger = options.logger;
    const context: StartContext = {
      logger: this.#logger,
      stop: (reason) => this.#stop(reason),
      fail: (error) => this.#fail(error),
    };
    // Later, so that whatever start does at once finds this object complete.
    this.#service = this.#openTelemetry().then(() => options.start(context));
  }

  begin(): void {
    process.on('uncaughtException', (error) => this.#fail(error));
    process.on('unhandledRejection', (reason) => this.#fail(reason));
    process.on('SIGTERM', () => this.#stopOnSignal('SIGTERM'));
    process.on('SIGINT', () => this.#stopOnSignal('SIGINT'));
    process.on('SIGHUP', () => void this.#reload());
    if (this.#options.stopWhenParentGone) this.#watchParent();
    void this.#announceWhenUp();
  }

  /** Before the service, so that its recovery can be watched. */
  async #openTelemetry(): Promise<void> {
    this.#telemetryReady = (await this.#options.telemetry?.open()) ?? {};
  }

  async #announceWhenUp(): Promise<void> {
    try {
      const service = await this.#service;
      if (this.#state === 'starting') this.#announce(service);
    } catch (error) {
      this.#fail(error);
    }
  }

  #announce(service: RunningService): void {
    this.#state = 'serving';
    const ready = { ...service.ready, ...this.#telemetryReady };
    this.#logger.info(ready, 'ready');
    // The callback takes the error of a parent that is gone; without one it would be thrown.
    process.send?.({ type: 'ready', name: this.#options.name, pid: process.pid, ...ready }, () => undefined);
    this.#options.telemetry?.onServing();
  }

  #watchParent(): void {
    const gone = () => this.#stop('the parent process is gone');
    process.once('disconnect', gone);
    // It may have gone before we listened. Without a channel at all there is no parent to watch.
    if (process.send !== undefined && !process.connected) gone();
  }

  #stopOnSignal(signal: string): void {
    if (this.#state === 'stopping') {
      this.#logger.warn({ signal }, 'second signal: exiting at once');
      process.exit(EXIT_CODES.crash);
    }
    this.#stop(signal);
  }

  #stop(reason: string): void {
    if (this.#state === 'stopping') return;
    this.#state = 'stopping';
    this.#logger.info({ reason }, 'stopping');
    void this.#drainAndExit();
  }

  async #drainAndExit(): Promise<never> {
    const totalMs = this.#options.drainMsMax ?? DRAIN_MS_MAX;
    const closeMs = totalMs * CLOSE_SHARE;
    const drained = await this.#within(totalMs - closeMs, 'drain', async () => (await this.#service).drain());
    const closed = await this.#within(closeMs, 'close', async () => (await this.#service).close());
    await this.#options.telemetry?.shutdown();
    // Work that a deadline cut off is an ordinary end; a drain that failed or a close that did not end is not.
    const clean = drained !== 'failed' && closed === 'done';
    this.#logger.info({ clean }, 'stopped');
    process.exit(clean ? EXIT_CODES.clean : EXIT_CODES.crash);
  }

  async #within(limitMs: number, step: string, work: () => Promise<void>): Promise<'done' | 'failed' | 'late'> {
    let timeout: NodeJS.Timeout | undefined;
    const late = new Promise<'late'>((resolve) => {
      timeout = setTimeout(() => resolve('late'), limitMs);
    });
    const done = work().then(
      () => 'done' as const,
      (error: unknown) => {
        this.#logger.error({ err: error, step }, `${step} failed`);
        return 'failed' as const;
      },
    );
    const outcome = await Promise.race([done, late]);
    clearTimeout(timeout);
    if (outcome === 'late') this.#logger.warn({ step, limitMs }, `${step} did not end in time; going on without it`);
    return outcome;
  }

  async #reload(): Promise<void> {
    if (this.#options.reload === undefined) {
      this.#logger.info('SIGHUP: nothing to reload');
      return;
    }
    try {
      await this.#options.reload();
      this.#logger.info('reloaded');
    } catch (error) {
      this.#logger.error({ err: error }, 'reload failed; the settings are as before');
    }
  }

  #fail(error: unknown): never {
    if (error instanceof ExitError) {
      this.#logger.fatal({ exitCode: error.code }, error.message);
      process.exit(error.code);
    }
    this.#logger.fatal({ err: error, exitCode: EXIT_CODES.crash }, 'crashed; this is a bug or a fault of the machine');
    process.exit(EXIT_CODES.crash);
  }
}
