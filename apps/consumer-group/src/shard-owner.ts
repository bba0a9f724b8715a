/**
 * Ownership of one group shard, and the only writer of its state.
 *
 *   claiming -> replaying -> serving -> (append fenced or in doubt) -> claiming ...; stopped at any time
 *
 * Commands queue. While one batch is on its way to the log the next ones gather, and all that fit are decided, in order,
 * against a draft that shows each the effects of those before it; their records go out as one batch. The shard's state
 * changes, and the callers hear, only when that batch is acknowledged. When its outcome is in doubt the shard is claimed
 * anew and replayed, and its commands are decided again: they are idempotent.
 */
import { asPartitaError, BATCH_BYTES_MAX, PartitaError } from '@partita/domain';
import { recordBytes } from '@partita/batch';
import type { RecordInput } from '@partita/batch';
import { pause } from '@partita/client';
import { apply, decide, ShardDraft } from '@partita/groups';
import type { GroupCommand, GroupRecord, GroupResponse, ShardState, TopicCatalog } from '@partita/groups';
import { backoffDelayMs } from '@partita/rpc/client';
import { systemRandom } from '@partita/runtime';
import type { Logger } from '@partita/runtime';
import { decodeGroupRecord, encodeGroupRecord, groupRecordKey } from './record-codec.ts';
import type { ShardLog } from './shard-log.ts';

export type ShardPhase = 'claiming' | 'replaying' | 'serving' | 'stopped';

/** Commands that wait; further ones are refused with QUEUE_FULL. */
const COMMAND_COUNT_MAX = 10_000;
/** Most bytes of records in one batch; the rest is room for the framing of each record. */
const BATCH_RECORD_BYTES_MAX = BATCH_BYTES_MAX / 2;
/** Pause after another instance has claimed the shard, so that two that both believe to own it do not fight. */
const FENCED_PAUSE_MS = 1000;

interface PendingCommand {
  readonly command: GroupCommand;
  readonly resolve: (response: GroupResponse) => void;
  readonly reject: (error: PartitaError) => void;
}

/** Commands of one batch, decided. */
interface DecidedBatch {
  readonly entries: readonly { readonly pending: PendingCommand; readonly response: GroupResponse }[];
  /** In order, for the state. */
  readonly records: readonly GroupRecord[];
  /** The last record of each key, for the log. */
  readonly encoded: readonly RecordInput[];
}

/** What the owner tells its members' side. */
export interface ShardListener {
  /** The shard is served, with the state as of now; memberships begin their time-outs anew. */
  onServing(): void;
  /** These groups have changed, durably. */
  onChanged(groups: ReadonlySet<string>): void;
}

export interface ShardOwnerOptions {
  readonly shard: number;
  readonly log: Pick<ShardLog, 'claim' | 'replay' | 'append'>;
  readonly catalog: TopicCatalog;
  readonly logger: Logger;
  readonly wallMs: () => number;
  readonly listener: ShardListener;
}

export class ShardOwner {
  readonly shard: number;
  readonly #options: ShardOwnerOptions;
  #phase: ShardPhase = 'claiming';
  #state: ShardState = new Map();
  #claimEpoch = 0;
  #queue: PendingCommand[] = [];
  #wakeUp: (() => void) | undefined;
  readonly #waitingToServe = new Set<() => void>();

  constructor(options: ShardOwnerOptions) {
    this.shard = options.shard;
    this.#options = options;
  }

  get phase(): ShardPhase {
    return this.#phase;
  }

  /** Claim under which the shard is served; 0 before the first. */
  get claimEpoch(): number {
    return this.#claimEpoch;
  }

  /** The durable state; read it only while `phase` is serving. */
  get state(): ShardState {
    return this.#state;
  }

  start(): void {
    void this.#run();
  }

  /** Gives the shard up: what waits is refused. The next owner's claim ends whatever is on its way. */
  stop(): void {
    if (this.#phase === 'stopped') return;
    this.#phase = 'stopped';
    this.#tellWaiting();
    for (const pending of this.#queue.splice(0)) pending.reject(loading(pending.command.group));
    this.#wakeUp?.();
  }

  /** True once the shard is served; false when it is not within `waitMs`. */
  async serving(waitMs: number): Promise<boolean> {
    if (this.#phase === 'claiming' || this.#phase === 'replaying') {
      await new Promise<void>((resolve) => {
        const done = (): void => {
          clearTimeout(timer);
          this.#waitingToServe.delete(done);
          resolve();
        };
        const timer = setTimeout(done, waitMs);
        this.#waitingToServe.add(done);
      });
    }
    return this.#phase === 'serving';
  }

  /** Decides a command and resolves when it is durable. Rejects with its refusal, GROUP_LOADING or QUEUE_FULL. */
  submit(command: GroupCommand): Promise<GroupResponse> {
    if (this.#phase === 'stopped') return Promise.reject(loading(command.group));
    if (this.#queue.length >= COMMAND_COUNT_MAX) {
      const metadata = { queue: 'group commands', limit: String(COMMAND_COUNT_MAX) };
      return Promise.reject(
        new PartitaError('QUEUE_FULL', 'too many commands wait for this shard', metadata, { retryAfterMs: 500 }),
      );
    }
    return new Promise((resolve, reject) => {
      this.#queue.push({ command, resolve, reject });
      this.#wakeUp?.();
    });
  }

  async #run(): Promise<void> {
    for (let attempt = 0; this.#isRunning(); attempt++) {
      try {
        await this.#takeOver();
        attempt = 0;
        await this.#serve();
      } catch (thrown) {
        if (!this.#isRunning()) return;
        await this.#recover(asPartitaError(thrown), attempt);
      }
    }
  }

  /** A method, because the phase changes during every await. */
  #isRunning(): boolean {
    return this.#phase !== 'stopped';
  }

  async #recover(error: PartitaError, attempt: number): Promise<void> {
    this.#phase = 'claiming';
    const fields = { shard: this.shard, reason: error.reason, err: error.reason === 'INTERNAL' ? error : undefined };
    this.#options.logger.warn(fields, `the group shard has to be claimed anew: ${error.message}`);
    if (error.reason === 'FENCED_CLAIM') await pause(FENCED_PAUSE_MS);
    else if (error.reason !== 'OUTCOME_UNKNOWN') await pause(backoffDelayMs(attempt, systemRandom));
  }

  async #takeOver(): Promise<void> {
    const { log, logger } = this.#options;
    const startedMs = performance.now();
    const claim = await log.claim(this.#claimEpoch);
    if (!this.#isRunning()) return;
    this.#claimEpoch = claim.claimEpoch;
    this.#phase = 'replaying';
    const state: ShardState = new Map();
    let recordCount = 0;
    await log.replay(claim.offset, (record) => {
      apply(state, decodeGroupRecord(record));
      recordCount += 1;
    });
    if (!this.#isRunning()) return;
    this.#state = state;
    this.#phase = 'serving';
    const durationMs = Math.round(performance.now() - startedMs);
    logger.info(
      { shard: this.shard, claimEpoch: claim.claimEpoch, groups: state.size, recordCount, durationMs },
      'serving the group shard',
    );
    this.#options.listener.onServing();
    this.#tellWaiting();
  }

  #tellWaiting(): void {
    for (const tell of [...this.#waitingToServe]) tell();
  }

  async #serve(): Promise<void> {
    while (this.#phase === 'serving') {
      if (this.#queue.length === 0) await new Promise<void>((resolve) => (this.#wakeUp = resolve));
      this.#wakeUp = undefined;
      const batch = this.#decideBatch();
      if (batch.encoded.length > 0) await this.#append(batch);
      // A shard given up meanwhile has no state to keep; what is durable is answered all the same.
      if (this.#isRunning()) this.#take(batch.records);
      for (const { pending, response } of batch.entries) pending.resolve(response);
    }
  }

  /** Records that are durable. */
  #take(records: readonly GroupRecord[]): void {
    const groups = new Set<string>();
    for (const record of records) {
      apply(this.#state, record);
      groups.add(record.group);
    }
    if (groups.size > 0) this.#options.listener.onChanged(groups);
  }

  async #append(batch: DecidedBatch): Promise<void> {
    try {
      await this.#options.log.append(batch.encoded, this.#claimEpoch);
    } catch (thrown) {
      const entries = batch.entries.map(({ pending }) => pending);
      if (this.#isRunning()) this.#queue.unshift(...entries);
      else for (const pending of entries) pending.reject(loading(pending.command.group));
      throw thrown;
    }
  }

  /** Takes commands off the queue until a batch is full. Refused ones are answered at once: nothing of them is durable. */
  #decideBatch(): DecidedBatch {
    const draft = new ShardDraft(this.#state);
    const entries: { pending: PendingCommand; response: GroupResponse }[] = [];
    const records: GroupRecord[] = [];
    const lastOfKey = new Map<string, RecordInput>();
    const timestampMs = BigInt(this.#options.wallMs());
    let bytes = 0;
    let taken = 0;
    for (const pending of this.#queue) {
      try {
        const decided = decide(draft, pending.command, this.#options.catalog);
        const encoded = decided.records.map((record) => encodeGroupRecord(record, timestampMs));
        const size = encoded.reduce((sum, record) => sum + recordBytes(record), 0);
        if (size > BATCH_RECORD_BYTES_MAX) throw tooLarge(pending.command.group, size);
        if (bytes + size > BATCH_RECORD_BYTES_MAX) break;
        bytes += size;
        decided.records.forEach((record, index) => {
          draft.apply(record);
          records.push(record);
          const key = groupRecordKey(record);
          lastOfKey.delete(key);
          const input = encoded[index];
          if (input !== undefined) lastOfKey.set(key, input);
        });
        entries.push({ pending, response: decided.response });
      } catch (thrown) {
        pending.reject(asPartitaError(thrown));
      }
      taken += 1;
    }
    this.#queue.splice(0, taken);
    return { entries, records, encoded: [...lastOfKey.values()] };
  }
}

/** The shard is not served at the moment. */
export function loading(group: string): PartitaError {
  const message = `group "${group}" is being loaded by its owner; try again in a moment`;
  return new PartitaError('GROUP_LOADING', message, { group }, { retryAfterMs: 200 });
}

function tooLarge(group: string, size: number): PartitaError {
  const message = `group "${group}" is too large for one change (${size} bytes of records): subscribe to fewer topics`;
  return new PartitaError('LIMIT_EXCEEDED', message, { group, limit: String(BATCH_RECORD_BYTES_MAX) });
}
