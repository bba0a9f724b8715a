/**
 * Compaction in a process of its own, of low priority: unpacking and packing would hold up the event loop that appends. It is
 * started by the first job and ends when none has come for a while. Not a thread: V8 may fail a check of its own when a
 * thread that has compiled WebAssembly ends, about once in 500 times, and takes the whole broker with it.
 */
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { COMPACTION_IDLE_MS_MAX, PartitaError } from '@partita/domain';
import type { TimerHandle, Timers } from '@partita/domain';
import type { CompactionAnswer, CompactionOrder } from './compaction-messages.ts';
import type { CompactionPlan, CompactionResult } from './compaction-plan.ts';

/** How long a cancelled job may take to remove its files before the process is killed over it. */
const CANCEL_MS_MAX = 5000;
/** Heap of the process. The keys lie outside of it, within the plan's `mapBytesMax`. */
const HEAP_MIB_MAX = 256;

interface Job {
  readonly plan: CompactionPlan;
  readonly resolve: (result: CompactionResult) => void;
  readonly reject: (error: unknown) => void;
}

/** One per broker. Jobs run one at a time in the order of their calls; a caller queues at most one per partition. */
export class CompactionProcess {
  readonly #timers: Timers;
  readonly #startWorker: () => ChildProcess;
  readonly #queue: Job[] = [];
  #running: Job | undefined;
  #worker: ChildProcess | undefined;
  #idle: TimerHandle | undefined;
  #isClosed = false;

  /** `start` makes the process; tests pass one that dies. */
  constructor(timers: Timers, start: () => ChildProcess = startWorker) {
    this.#timers = timers;
    this.#startWorker = start;
  }

  /** True while there is a process. */
  get isStarted(): boolean {
    return this.#worker !== undefined;
  }

  /**
   * Runs compactSegments() in the process. Rejects with its error (those of the disk as STORAGE_FULL or STORAGE_FAILED),
   * with INTERNAL when the process died over it, with SHUTTING_DOWN after `close`. Then the log is as it was; files that a
   * dead process left are made anew by the next pass or removed by `finishCompaction`.
   */
  run(plan: CompactionPlan): Promise<CompactionResult> {
    if (this.#isClosed) return Promise.reject(closed());
    return new Promise((resolve, reject) => {
      this.#queue.push({ plan, resolve, reject });
      this.#next();
    });
  }

  /** Refuses all jobs that wait, cancels the one that runs, ends the process. Nothing touches the disk on return. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const job of this.#queue.splice(0)) job.reject(closed());
    const worker = this.#worker;
    if (worker === undefined) return;
    if (this.#running !== undefined) {
      const answered = new Promise<void>((resolve) => {
        const timer = this.#timers.after(CANCEL_MS_MAX, resolve);
        for (const event of ['message', 'exit']) {
          worker.once(event, () => {
            timer.cancel();
            resolve();
          });
        }
      });
      this.#tell(worker, { kind: 'cancel' });
      await answered;
    }
    await this.#end();
  }

  #next(): void {
    if (this.#running !== undefined) return;
    const job = this.#queue.shift();
    if (job === undefined) return;
    this.#idle?.cancel();
    this.#idle = undefined;
    this.#running = job;
    this.#worker ??= this.#start();
    hold(this.#worker);
    this.#tell(this.#worker, { kind: 'run', plan: job.plan });
  }

  #start(): ChildProcess {
    const worker = this.#startWorker();
    worker.on('message', (answer) => this.#settle(worker, answer as CompactionAnswer));
    worker.on('error', (error: Error) => this.#lose(worker, error));
    worker.on('exit', (code, signal) => this.#lose(worker, new Error(`it ended with ${signal ?? `code ${code}`}`)));
    return worker;
  }

  #tell(worker: ChildProcess, order: CompactionOrder): void {
    // To a process that is gone: its `exit` is on the way.
    worker.send(order, () => undefined);
  }

  #settle(worker: ChildProcess, answer: CompactionAnswer): void {
    const job = this.#running;
    if (worker !== this.#worker || job === undefined) return;
    this.#running = undefined;
    if (this.#isClosed) {
      job.reject(closed());
      return;
    }
    if (answer.kind === 'done') job.resolve(answer.result);
    else job.reject(new PartitaError(answer.fault.reason, answer.fault.message, answer.fault.metadata));
    if (this.#queue.length === 0) this.#rest(worker);
    else this.#next();
  }

  /** Waits for a next job for a while, without keeping the process alive. */
  #rest(worker: ChildProcess): void {
    letGo(worker);
    this.#idle = this.#timers.after(COMPACTION_IDLE_MS_MAX, () => void this.#end());
  }

  /** The process died: its job fails, the next one gets a new one. */
  #lose(worker: ChildProcess, cause: Error): void {
    if (worker !== this.#worker) return;
    this.#worker = undefined;
    const job = this.#running;
    this.#running = undefined;
    const message = `the compaction process died: ${cause.message}; the log is as it was, the next pass tries again`;
    job?.reject(this.#isClosed ? closed() : new PartitaError('INTERNAL', message, {}, { cause }));
    this.#next();
  }

  async #end(): Promise<void> {
    const worker = this.#worker;
    this.#idle?.cancel();
    this.#worker = undefined;
    const job = this.#running;
    this.#running = undefined;
    job?.reject(closed());
    if (worker !== undefined) await killed(worker);
  }
}

/** Keeps this process alive for the other one. */
function hold(worker: ChildProcess): void {
  worker.ref();
  worker.channel?.ref();
}

function letGo(worker: ChildProcess): void {
  worker.unref();
  worker.channel?.unref();
}

/** Resolves when the process is gone, and with it whatever it was writing. */
function killed(worker: ChildProcess): Promise<void> {
  if (worker.exitCode !== null || worker.signalCode !== null) return Promise.resolve();
  hold(worker);
  return new Promise((resolve) => {
    worker.once('exit', () => resolve());
    worker.kill('SIGKILL');
  });
}

function startWorker(): ChildProcess {
  return fork(new URL('./compaction-worker.ts', import.meta.url), {
    // Nothing of the process's own set-up: no tracing, no settings.
    execArgv: [`--max-old-space-size=${HEAP_MIB_MAX}`],
    env: {},
    // Offsets are bigints.
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
}

function closed(): PartitaError {
  return new PartitaError('SHUTTING_DOWN', 'the broker is stopping; the next start compacts again');
}
