/**
 * Carries out what the core decides, on ports: the one place where a replica meets its log and its journal. Inputs that
 * arrive while effects are carried out (an answer that appends again, a log that syncs at once) wait their turn, so that
 * effects are never mixed.
 */
import { PartitaError } from '@partita/domain';
import type { Clock } from '@partita/domain';
import { step } from './partition.ts';
import type { DurableMeta, PlannedAppend, ReplicaEffect, ReplicaInput, Stamp } from './messages.ts';
import type { PartitionState } from './partition-state.ts';
import { failUnanswered, leadRefusal, promiseOutcome } from './promise.ts';
import type { ReplicaConfig } from './replica-config.ts';

/** The log of one partition. Tells the runner of `synced` and `storage-failed` through `feed`. */
export interface PartitionLogPort {
  /** Stamps the batch in place and queues it. Returns why it did not, and then holds nothing of it. */
  append(batch: Uint8Array, stamp: Stamp): PartitaError | undefined;
  /** As `append`, for the control batch that begins an epoch. */
  appendEpochStart(stamp: Stamp, config: ReplicaConfig, unclean: boolean): PartitaError | undefined;
}

/** The broker's journal, as far as one replica uses it. */
export interface JournalPort {
  /** Resolves when the entry is durable. A rejection means that the journal's disk failed. */
  persist(meta: DurableMeta): Promise<void>;
}

export interface PartitionObserver {
  /** The high watermark or the role has changed. Called in the middle of a step: look, do not feed. */
  onChanged(what: 'high-watermark' | 'role'): void;
  /** The replica is stopped: a broken invariant, or a journal that cannot be written. Called once. */
  onStopped(error: unknown): void;
}

export class PartitionRunner {
  readonly #state: PartitionState;
  readonly #log: PartitionLogPort;
  readonly #journal: JournalPort;
  readonly #clock: Clock;
  readonly #observer: PartitionObserver;
  /** Inputs fed from within effects; bounded by what the replies of one step feed. */
  #waiting: ReplicaInput[] = [];
  #isRunning = false;
  #isStopped = false;

  constructor(options: {
    state: PartitionState;
    log: PartitionLogPort;
    journal: JournalPort;
    clock: Clock;
    observer: PartitionObserver;
  }) {
    this.#state = options.state;
    this.#log = options.log;
    this.#journal = options.journal;
    this.#clock = options.clock;
    this.#observer = options.observer;
  }

  /** The replica as it is; never changed from outside. */
  get state(): Readonly<PartitionState> {
    return this.#state;
  }

  /** True after a broken invariant or a failed journal: nothing is taken in any more, appends are refused. */
  get isStopped(): boolean {
    return this.#isStopped;
  }

  /** Takes an event in and carries out what follows. Never throws. */
  feed(input: ReplicaInput): void {
    if (this.#isStopped) {
      this.#refuse(input);
      return;
    }
    this.#waiting.push(input);
    if (this.#isRunning) return;
    this.#isRunning = true;
    try {
      for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) this.#run(next);
    } catch (error) {
      this.#stop(error);
    } finally {
      this.#isRunning = false;
    }
  }

  #run(input: ReplicaInput): void {
    for (const effect of step(this.#state, input)) this.#carryOut(effect);
  }

  #carryOut(effect: ReplicaEffect): void {
    switch (effect.kind) {
      case 'append':
        this.#logged(effect.planned, this.#log.append(effect.batch, effect.planned.stamp));
        return;
      case 'append-epoch-start': {
        const { planned, config, unclean } = effect;
        this.#logged(planned, this.#log.appendEpochStart(planned.stamp, config, unclean));
        return;
      }
      case 'persist':
        this.#journal.persist(effect.meta).then(
          () => this.feed({ kind: 'journaled', wallMs: this.#clock.wallMs() }),
          (error: unknown) => this.#stop(error),
        );
        return;
      case 'changed':
        this.#observer.onChanged(effect.what);
        return;
      case 'answer-append':
        effect.reply(effect.outcome);
        return;
      case 'answer-promise':
        effect.reply(effect.outcome);
        return;
      case 'answer-lead':
        effect.reply(effect.outcome);
        return;
      case 'answer-join':
        effect.reply(effect.outcome);
        return;
    }
  }

  /** Before any other input: whatever is planned next must know whether this batch lies in the log. */
  #logged(planned: PlannedAppend, refusal: PartitaError | undefined): void {
    this.#run(refusal === undefined ? { kind: 'log-took', planned } : { kind: 'log-refused', planned, error: refusal });
  }

  #stop(error: unknown): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const effect of failUnanswered(this.#state)) this.#carryOut(effect);
    for (const input of waiting) this.#refuse(input);
    this.#observer.onStopped(error);
  }

  /** The answer of a replica that has stopped: nothing is taken in any more. */
  #refuse(input: ReplicaInput): void {
    switch (input.kind) {
      case 'append': {
        const error = new PartitaError('STORAGE_FAILED', 'this replica has stopped; find the new leader and resend');
        input.reply({ ok: false, error });
        return;
      }
      case 'promise':
        input.reply(promiseOutcome(this.#state, false));
        return;
      case 'lead':
        input.reply(leadRefusal(this.#state));
        return;
      default:
        return;
    }
  }
}
