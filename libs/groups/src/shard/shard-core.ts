/**
 * Ownership of one group shard, without its I/O: a runner does what this says and tells how that went.
 *
 *   claiming -> replaying -> serving -> (append refused or in doubt) -> claiming ...; stopped at any time
 *
 * Commands queue. While one batch is on its way to the log the next ones gather; all that fit are decided against a draft,
 * and their records go out as one batch. State changes, and callers hear, only when that batch is acknowledged. An append
 * in doubt may be sent again as it was, under the same claim and sequences, so that the leader knows it for the same; when
 * doubt remains the shard is claimed anew and replayed, and its commands are decided again: they are idempotent.
 */
import { PartitaError } from '@partita/domain';
import type { GroupCommand, TopicCatalog } from '../commands.ts';
import { apply } from '../group-state.ts';
import type { ShardState } from '../group-state.ts';
import type { GroupRecord } from '../records.ts';
import { decideBatch } from './shard-batch.ts';
import type { DecidedBatch, RecordForm, ShardAnswer, Waiting } from './shard-batch.ts';

export type ShardPhase = 'claiming' | 'replaying' | 'serving' | 'stopped';

/** Commands that wait; further ones are refused with QUEUE_FULL. */
const COMMAND_COUNT_MAX = 10_000;

/** Records to append, and under which identity. */
export interface ShardAppend<Encoded> {
  readonly records: readonly Encoded[];
  readonly claimEpoch: number;
  /** Number of the first record among all that were written under this claim. */
  readonly firstSequence: bigint;
}

/** What to do and whom to tell. */
export interface ShardStep<Ticket, Encoded> {
  readonly answers: readonly ShardAnswer<Ticket>[];
  /** Undefined = nothing waits, or all that did needed no record. */
  readonly append: ShardAppend<Encoded> | undefined;
}

/** A batch is durable. */
export interface ShardNews<Ticket> {
  readonly answers: readonly ShardAnswer<Ticket>[];
  /** Groups that have changed. */
  readonly changed: ReadonlySet<string>;
}

export interface ShardCoreOptions<Encoded> {
  readonly catalog: TopicCatalog;
  readonly form: RecordForm<Encoded>;
  /** How often an append in doubt is sent again before the shard is claimed anew. More than 0 needs a leader that checks sequences. */
  readonly resendCountMax: number;
}

export class ShardCore<Ticket, Encoded> {
  readonly #options: ShardCoreOptions<Encoded>;
  #phase: ShardPhase = 'claiming';
  #state: ShardState = new Map();
  #claimEpoch = 0;
  #nextSequence = 0n;
  #resendCount = 0;
  /** On its way to the log. */
  #underWay: DecidedBatch<Ticket, Encoded> | undefined;
  readonly #queue: Waiting<Ticket>[] = [];

  constructor(options: ShardCoreOptions<Encoded>) {
    this.#options = options;
  }

  get phase(): ShardPhase {
    return this.#phase;
  }

  /** Claim under which the shard is served; 0 before the first. */
  get claimEpoch(): number {
    return this.#claimEpoch;
  }

  /** The durable state; it counts only while `phase` is serving. */
  get state(): ShardState {
    return this.#state;
  }

  /** True while an append is under way: what it says was decided by the topics that were known then. */
  get isWriting(): boolean {
    return this.#underWay !== undefined;
  }

  /** Who waits for the append that is under way. */
  get ticketsUnderWay(): readonly Ticket[] {
    return this.#underWay?.entries.map(({ ticket }) => ticket) ?? [];
  }

  /** True when a step would do something. */
  get hasWork(): boolean {
    return this.#phase === 'serving' && this.#underWay === undefined && this.#queue.length > 0;
  }

  /** Takes a command. Throws GROUP_LOADING or QUEUE_FULL. */
  submit(command: GroupCommand, ticket: Ticket): void {
    if (this.#phase === 'stopped') throw loading(command.group);
    if (this.#queue.length >= COMMAND_COUNT_MAX) {
      const metadata = { queue: 'group commands', limit: String(COMMAND_COUNT_MAX) };
      throw new PartitaError('QUEUE_FULL', 'too many commands wait for this shard', metadata, { retryAfterMs: 500 });
    }
    this.#queue.push({ command, ticket });
  }

  /** The claim is in the log: everything below it is to be replayed, and nobody with a lower one writes any more. */
  claimed(claimEpoch: number): void {
    if (this.#phase === 'stopped') return;
    this.#claimEpoch = claimEpoch;
    this.#nextSequence = 0n;
    this.#state = new Map();
    this.#phase = 'replaying';
  }

  /** A record below the claim, in the order of the log. */
  replayed(record: GroupRecord): void {
    if (this.#phase === 'replaying') apply(this.#state, record);
  }

  /**
   * The end of the log has been reached. `isAlone` is false when there are records above the claim: another owner wrote
   * them, and compaction may have taken older ones for theirs, so that the state is not whole. Then it is claimed anew.
   */
  replayEnded(isAlone: boolean): void {
    if (this.#phase === 'replaying') this.#phase = isAlone ? 'serving' : 'claiming';
  }

  /** Decides what waits. Do nothing while an append is under way. */
  step(): ShardStep<Ticket, Encoded> {
    if (!this.hasWork) return { answers: [], append: undefined };
    const { catalog, form } = this.#options;
    const batch = decideBatch(this.#queue, this.#state, catalog, form);
    if (batch.encoded.length === 0) {
      return { answers: [...batch.refused, ...answersOf(batch)], append: undefined };
    }
    this.#underWay = batch;
    this.#resendCount = 0;
    return { answers: batch.refused, append: this.#append(batch) };
  }

  /** The append is durable. */
  appended(): ShardNews<Ticket> {
    const batch = this.#underWay;
    if (batch === undefined) throw new Error('there was no append under way');
    this.#underWay = undefined;
    this.#nextSequence += BigInt(batch.encoded.length);
    const changed = new Set<string>();
    // A shard given up meanwhile has no state to keep; what is durable is answered all the same.
    if (this.#phase !== 'serving') return { answers: answersOf(batch), changed };
    for (const record of batch.records) {
      apply(this.#state, record);
      changed.add(record.group);
    }
    return { answers: answersOf(batch), changed };
  }

  /** Nobody knows whether the append is durable: what to send once more, or undefined after `failed`. */
  inDoubt(): ShardAppend<Encoded> | undefined {
    const batch = this.#underWay;
    if (batch === undefined || this.#phase !== 'serving' || this.#resendCount >= this.#options.resendCountMax) {
      return undefined;
    }
    this.#resendCount += 1;
    return this.#append(batch);
  }

  /** The shard has to be claimed anew; what was under way is decided again then. Whom to tell otherwise. */
  failed(): readonly ShardAnswer<Ticket>[] {
    const entries = this.#underWay?.entries ?? [];
    this.#underWay = undefined;
    if (this.#phase === 'stopped') return entries.map(refusalOf);
    this.#phase = 'claiming';
    this.#queue.unshift(...entries);
    return [];
  }

  /** Gives the shard up: what waits is refused. The next owner's claim ends whatever is on its way. */
  stop(): readonly ShardAnswer<Ticket>[] {
    this.#phase = 'stopped';
    return this.#queue.splice(0).map(refusalOf);
  }

  #append(batch: DecidedBatch<Ticket, Encoded>): ShardAppend<Encoded> {
    return { records: batch.encoded, claimEpoch: this.#claimEpoch, firstSequence: this.#nextSequence };
  }
}

function answersOf<Ticket>({ entries }: DecidedBatch<Ticket, unknown>): ShardAnswer<Ticket>[] {
  return entries.map(({ ticket, response }) => ({ ticket, response }));
}

function refusalOf<Ticket>({ command, ticket }: Waiting<Ticket>): ShardAnswer<Ticket> {
  return { ticket, error: loading(command.group) };
}

/** The shard is not served at the moment. */
export function loading(group: string): PartitaError {
  const message = `group "${group}" is being loaded by its owner; try again in a moment`;
  return new PartitaError('GROUP_LOADING', message, { group }, { retryAfterMs: 200 });
}
