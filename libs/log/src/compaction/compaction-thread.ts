/**
 * Compaction in a thread of its own, of low priority: unpacking and packing would hold up the event loop that appends. The
 * thread is started by the first job and ends when none has come for a while.
 */
import { Worker } from 'node:worker_threads';
import { COMPACTION_IDLE_MS_MAX, PartitaError } from '@partita/domain';
import type { TimerHandle, Timers } from '@partita/domain';
import type { CompactionAnswer, CompactionOrder } from './compaction-messages.ts';
import type { CompactionPlan, CompactionResult } from './compaction-plan.ts';

/** How long a cancelled job may take to remove its files before the thread is ended over it. */
const CANCEL_MS_MAX = 5000;
/** Heap of the thread. The keys lie outside of it, within the plan's `mapBytesMax`. */
const HEAP_MIB_MAX = 256;

interface Job {
  readonly plan: CompactionPlan;
  readonly resolve: (result: CompactionResult) => void;
  readonly reject: (error: unknown) => void;
}

/** One per broker. Jobs run one at a time in the order of their calls; a caller queues at most one per partition. */
export class CompactionThread {
  readonly #timers: Timers;
  readonly #startWorker: () => Worker;
  readonly #queue: Job[] = [];
  #running: Job | undefined;
  #worker: Worker | undefined;
  #idle: TimerHandle | undefined;
  #isClosed = false;

  /** `start` makes the thread; tests pass one that dies. */
  constructor(timers: Timers, start: () => Worker = startWorker) {
    this.#timers = timers;
    this.#startWorker = start;
  }

  /** True while there is a thread. */
  get isStarted(): boolean {
    return this.#worker !== undefined;
  }

  /**
   * Runs compactSegments() in the thread. Rejects with its error (those of the disk as STORAGE_FULL or STORAGE_FAILED),
   * with INTERNAL when the thread died over it, with SHUTTING_DOWN after `close`. Then the log is as it was; files that a
   * dead thread left are made anew by the next pass or removed by `finishCompaction`.
   */
  run(plan: CompactionPlan): Promise<CompactionResult> {
    if (this.#isClosed) return Promise.reject(closed());
    return new Promise((resolve, reject) => {
      this.#queue.push({ plan, resolve, reject });
      this.#next();
    });
  }

  /** Refuses all jobs that wait, cancels the one that runs, ends the thread. Nothing touches the disk on return. */
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
    this.#worker.ref();
    this.#tell(this.#worker, { kind: 'run', plan: job.plan });
  }

  #start(): Worker {
    const worker = this.#startWorker();
    worker.on('message', (answer: CompactionAnswer) => this.#settle(worker, answer));
    worker.on('error', (error: Error) => this.#lose(worker, error));
    worker.on('exit', (code) => this.#lose(worker, new Error(`it ended with code ${code}`)));
    return worker;
  }

  #tell(worker: Worker, order: CompactionOrder): void {
    worker.postMessage(order);
  }

  #settle(worker: Worker, answer: CompactionAnswer): void {
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
  #rest(worker: Worker): void {
    worker.unref();
    this.#idle = this.#timers.after(COMPACTION_IDLE_MS_MAX, () => void this.#end());
  }

  /** The thread died: its job fails, the next one gets a new thread. */
  #lose(worker: Worker, cause: Error): void {
    if (worker !== this.#worker) return;
    this.#worker = undefined;
    const job = this.#running;
    this.#running = undefined;
    const message = `the compaction thread died: ${cause.message}; the log is as it was, the next pass tries again`;
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
    await worker?.terminate();
  }
}

function startWorker(): Worker {
  return new Worker(new URL('./compaction-worker.ts', import.meta.url), {
    name: 'compaction',
    // Nothing of the process's own set-up: no tracing hooks, no settings.
    execArgv: [],
    env: {},
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MIB_MAX },
  });
}

function closed(): PartitaError {
  return new PartitaError('SHUTTING_DOWN', 'the broker is stopping; the next start compacts again');
}
