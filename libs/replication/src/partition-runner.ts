/**
 * Carries out what the core decides, on ports: the one place where a replica meets its log, its journal and other brokers.
 * Inputs that arrive while effects are carried out (an answer that appends again, a log that syncs at once) wait their turn,
 * so that effects are never mixed.
 */
import { PartitaError } from '@partita/domain';
import type { Clock } from '@partita/domain';
import { doubtChange, refusedChange } from './config-outcome.ts';
import { joinRefusal } from './in-sync-set.ts';
import { step } from './partition.ts';
import type {
  DurableMeta,
  LogFacts,
  PlannedAppend,
  ReplicaChange,
  ReplicaEffect,
  ReplicaInput,
  ReplicatedBatch,
  Stamp,
} from './messages.ts';
import type { PartitionState } from './partition-state.ts';
import { NOT_LEVEL } from './pause.ts';
import { leadRefusal, promiseOutcome, stepDown } from './promise.ts';
import { failUnanswered } from './refusals.ts';
import type { ReplicaConfig } from './replica-config.ts';

/** The log of one partition. Tells the runner of `synced` and `storage-failed` through `feed`. */
export interface PartitionLogPort {
  /** Stamps the batch in place and queues it. Returns why it did not, and then holds nothing of it. */
  append(batch: Uint8Array, stamp: Stamp): PartitaError | undefined;
  /** As `append`, for the control batch that begins an epoch. */
  appendEpochStart(stamp: Stamp, config: ReplicaConfig, unclean: boolean): PartitaError | undefined;
  /** As `append`, for the control batch of a new config. */
  appendConfig(stamp: Stamp, config: ReplicaConfig): PartitaError | undefined;
  /** Queues a batch as its leader stamped it. */
  store(batch: ReplicatedBatch): PartitaError | undefined;
  /** Cuts the log. Rejects with STORAGE_FULL when that must wait; the log is then as before. */
  cut(toOffset: bigint): Promise<LogFacts>;
  /** Replaces the log by an empty one behind the snapshot (none at offset 0); rejects as `cut` does. */
  install(baseOffset: bigint, content: Uint8Array | undefined): Promise<LogFacts>;
  /** Deletes records below the offset, by and by; feeds `trimmed`. */
  trim(toOffset: bigint): void;
}

/** The broker's journal, as far as one replica uses it. */
export interface JournalPort {
  /** Resolves when the entry is durable. A rejection means that the journal's disk failed. */
  persist(meta: DurableMeta): Promise<void>;
}

/**
 * Streams to the brokers that lead. What cannot be sent is dropped: then the stream is broken, and `link-lost` follows. A
 * `fenced` without a stream opens one: it is said again until the leader hears it.
 */
export interface LeaderLinkPort {
  seek(order: Extract<ReplicaEffect, { kind: 'seek' }>): void;
  join(message: Extract<ReplicaEffect, { kind: 'send-join' }>): void;
  ack(message: Extract<ReplicaEffect, { kind: 'send-ack' }>): void;
  fenced(message: Extract<ReplicaEffect, { kind: 'send-fenced' }>): void;
}

export interface PartitionObserver {
  /** Called in the middle of a step: look, do not feed. */
  onChanged(what: ReplicaChange): void;
  /** A batch of this leader lies in the log's queue; its bytes do not change any more. */
  onAppended(batch: Uint8Array, planned: PlannedAppend): void;
  /** The replica is stopped: a broken invariant, or a journal that cannot be written. Called once. */
  onStopped(error: unknown): void;
}

export interface RunnerOptions {
  readonly state: PartitionState;
  readonly log: PartitionLogPort;
  readonly journal: JournalPort;
  readonly links: LeaderLinkPort;
  readonly clock: Clock;
  readonly observer: PartitionObserver;
}

export class PartitionRunner {
  readonly #options: RunnerOptions;
  /** Inputs fed from within effects; bounded by what the replies of one step feed, and by what a leader holds back. */
  #waiting: ReplicaInput[] = [];
  #isRunning = false;
  #isStopped = false;

  constructor(options: RunnerOptions) {
    this.#options = options;
  }

  /** The replica as it is; never changed from outside. */
  get state(): Readonly<PartitionState> {
    return this.#options.state;
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

  /** The replica is no longer here: answers whoever waits, takes nothing in any more. What is on disk stays as it is. */
  end(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    const { state } = this.#options;
    for (const effect of [...stepDown(state), ...failUnanswered(state)]) this.#carryOut(effect);
    const { grant, role } = state;
    for (const reply of grant?.replies ?? []) reply(promiseOutcome(state, false));
    if (role.kind === 'becoming-leader') for (const reply of role.replies) reply(leadRefusal(state));
    this.#refuseWaiting();
  }

  #run(input: ReplicaInput): void {
    for (const effect of step(this.#options.state, input)) this.#carryOut(effect);
  }

  #carryOut(effect: ReplicaEffect): void {
    switch (effect.kind) {
      case 'append':
      case 'append-epoch-start':
      case 'append-config':
      case 'store':
      case 'cut':
      case 'install':
      case 'trim':
        return this.#changeLog(effect);
      case 'seek':
      case 'send-join':
      case 'send-ack':
      case 'send-fenced':
        return this.#send(effect);
      case 'persist':
        this.#options.journal.persist(effect.meta).then(
          () => this.feed({ kind: 'journaled', wallMs: this.#options.clock.wallMs() }),
          (error: unknown) => this.#stop(error),
        );
        return;
      case 'changed':
        return this.#options.observer.onChanged(effect.what);
      case 'again':
        this.#waiting.unshift(...effect.inputs);
        return;
      case 'answer-append':
        return effect.reply(effect.outcome);
      case 'answer-config':
        return effect.reply(effect.outcome);
      case 'answer-pause':
        return effect.reply(effect.logEnd);
      case 'answer-promise':
        return effect.reply(effect.outcome);
      case 'answer-lead':
        return effect.reply(effect.outcome);
      case 'answer-join':
        return effect.reply(effect.outcome);
    }
  }

  #changeLog(
    effect: Extract<
      ReplicaEffect,
      { kind: 'append' | 'append-epoch-start' | 'append-config' | 'store' | 'cut' | 'install' | 'trim' }
    >,
  ): void {
    const { log } = this.#options;
    switch (effect.kind) {
      case 'append': {
        const { batch, planned } = effect;
        const refusal = log.append(batch, planned.stamp);
        // First, since what follows makes followers hungry.
        if (refusal === undefined) this.#options.observer.onAppended(batch, planned);
        return this.#logged(planned, refusal);
      }
      case 'append-epoch-start': {
        const { planned, config } = effect;
        this.#logged(planned, log.appendEpochStart(planned.stamp, config, planned.unclean));
        return;
      }
      case 'append-config':
        return this.#logged(effect.planned, log.appendConfig(effect.planned.stamp, effect.config));
      case 'store':
        return this.#store(effect.batches);
      case 'cut':
        return this.#await(log.cut(effect.toOffset));
      case 'install':
        return this.#await(log.install(effect.baseOffset, effect.content));
      case 'trim':
        return log.trim(effect.toOffset);
    }
  }

  #send(effect: Extract<ReplicaEffect, { kind: 'seek' | 'send-join' | 'send-ack' | 'send-fenced' }>): void {
    const { links } = this.#options;
    switch (effect.kind) {
      case 'seek':
        return links.seek(effect);
      case 'send-join':
        return links.join(effect);
      case 'send-ack':
        return links.ack(effect);
      case 'send-fenced':
        return links.fenced(effect);
    }
  }

  /** Before any other input: whatever is planned next must know whether this batch lies in the log. */
  #logged(planned: PlannedAppend, refusal: PartitaError | undefined): void {
    this.#run(refusal === undefined ? { kind: 'log-took', planned } : { kind: 'log-refused', planned, error: refusal });
  }

  #store(batches: readonly ReplicatedBatch[]): void {
    for (const batch of batches) {
      if (this.#options.log.store(batch) !== undefined) {
        this.#run({ kind: 'store-refused' });
        return;
      }
      this.#run({ kind: 'log-stored', batch });
    }
  }

  #await(change: Promise<LogFacts>): void {
    change.then(
      (facts) => this.feed({ kind: 'log-cut', facts }),
      (error: unknown) => {
        if (error instanceof PartitaError && error.reason === 'STORAGE_FULL') this.feed({ kind: 'cut-failed' });
        else this.#stop(error);
      },
    );
  }

  #stop(error: unknown): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    const { state } = this.#options;
    for (const effect of [...failUnanswered(state), ...doubtChange(state)]) this.#carryOut(effect);
    this.#refuseWaiting();
    this.#options.observer.onStopped(error);
  }

  #refuseWaiting(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const input of waiting) this.#refuse(input);
  }

  /** The answer of a replica that has stopped: nothing is taken in any more. */
  #refuse(input: ReplicaInput): void {
    const { state } = this.#options;
    switch (input.kind) {
      case 'append': {
        const error = new PartitaError('STORAGE_FAILED', 'this replica has stopped; find the new leader and resend');
        input.reply({ ok: false, error });
        return;
      }
      case 'propose-config':
        this.#carryOut(refusedChange(state, input, 'not-leader', 'this replica has stopped'));
        return;
      case 'pause':
        input.reply(NOT_LEVEL);
        return;
      case 'promise':
        input.reply(promiseOutcome(state, false));
        return;
      case 'lead':
        input.reply(leadRefusal(state));
        return;
      case 'join':
        input.reply(joinRefusal(state));
        return;
      default:
        return;
    }
  }
}
