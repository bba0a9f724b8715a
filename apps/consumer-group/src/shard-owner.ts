/**
 * Runs the core of one group shard (libs/groups, ShardCore) on its log: claims, replays, appends what the core decides, and
 * tells it how that went. Every decision is the core's.
 */
import { asPartitaError, BATCH_BYTES_MAX, PartitaError } from '@partita/domain';
import { recordBytes } from '@partita/batch';
import type { RecordInput } from '@partita/batch';
import { pause } from '@partita/client';
import { ShardCore } from '@partita/groups';
import type {
  GroupCommand,
  GroupResponse,
  RecordForm,
  ShardAnswer,
  ShardAppend,
  ShardPhase,
  ShardState,
  TopicCatalog,
} from '@partita/groups';
import { beginOperation } from '@partita/rpc';
import type { Operation, TracingMode } from '@partita/rpc';
import { backoffDelayMs } from '@partita/rpc/client';
import { systemRandom } from '@partita/runtime';
import type { Logger, StateLines } from '@partita/runtime';
import type { GroupMeter } from './group-meter.ts';
import { decodeGroupRecord, encodeGroupRecord } from './record-codec.ts';
import type { ShardLog } from './shard-log.ts';

export { loading } from '@partita/groups';

/** Most bytes of records in one batch; the rest is room for the framing of each record. */
const BATCH_RECORD_BYTES_MAX = BATCH_BYTES_MAX / 2;
/** Pause after another instance has claimed the shard, so that two that both believe to own it do not fight. */
const FENCED_PAUSE_MS = 1000;
/** A batch in doubt is sent again so often before the shard is claimed anew; each try has its own time (shard-log.ts). */
const RESEND_COUNT_MAX = 3;

/** Who waits for an answer. */
interface Caller {
  readonly resolve: (response: GroupResponse) => void;
  readonly reject: (error: PartitaError) => void;
  /** Of the span in which it waits, '' = it is not traced. */
  readonly traceparent: string;
}

/** What the owner tells its members' side. */
export interface ShardListener {
  /** The shard is served, with the state as of now; memberships begin their time-outs anew. */
  onServing(): void;
  /** These groups have changed, durably; it was decided at `decidedMs` on performance.now(). */
  onChanged(groups: ReadonlySet<string>, decidedMs: number): void;
}

export interface ShardOwnerOptions {
  readonly shard: number;
  readonly log: Pick<ShardLog, 'claim' | 'replay' | 'append'>;
  readonly catalog: TopicCatalog;
  readonly logger: Logger;
  readonly lines: StateLines;
  readonly tracing: TracingMode;
  readonly meter: Pick<GroupMeter, 'committing'>;
  readonly wallMs: () => number;
  readonly listener: ShardListener;
}

export class ShardOwner {
  readonly shard: number;
  readonly #options: ShardOwnerOptions;
  readonly #core: ShardCore<Caller, RecordInput>;
  #wakeUp: (() => void) | undefined;
  readonly #waitingToServe = new Set<() => void>();

  constructor(options: ShardOwnerOptions) {
    this.shard = options.shard;
    this.#options = options;
    const form: RecordForm<RecordInput> = {
      encode: (record) => encodeGroupRecord(record, BigInt(options.wallMs())),
      bytesOf: recordBytes,
      batchBytesMax: BATCH_RECORD_BYTES_MAX,
    };
    this.#core = new ShardCore({ catalog: options.catalog, form, resendCountMax: RESEND_COUNT_MAX });
  }

  get phase(): ShardPhase {
    return this.#core.phase;
  }

  /** Claim under which the shard is served; 0 before the first. */
  get claimEpoch(): number {
    return this.#core.claimEpoch;
  }

  /** The durable state; read it only while `phase` is serving. */
  get state(): ShardState {
    return this.#core.state;
  }

  /** True while changes are on their way to the log, decided by the topics that were known then. */
  get isWriting(): boolean {
    return this.#core.isWriting;
  }

  start(): void {
    void this.#run();
  }

  /** Gives the shard up: what waits is refused. The next owner's claim ends whatever is on its way. */
  stop(): void {
    if (!this.#isRunning()) return;
    if (this.phase === 'serving')
      this.#options.lines.write('group shard given up', { shard: this.shard, claim_epoch: this.claimEpoch });
    const answers = this.#core.stop();
    this.#tellWaiting();
    tell(answers);
    this.#wakeUp?.();
  }

  /** True once the shard is served; false when it is not within `waitMs`. */
  async serving(waitMs: number): Promise<boolean> {
    if (this.phase === 'claiming' || this.phase === 'replaying') {
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
    return this.phase === 'serving';
  }

  /**
   * Decides a command and resolves when it is durable. Rejects with its refusal, GROUP_LOADING or QUEUE_FULL. The append is
   * part of the trace in `traceparent`.
   */
  submit(command: GroupCommand, traceparent = ''): Promise<GroupResponse> {
    return new Promise((resolve, reject) => {
      // What the core throws rejects the promise.
      this.#core.submit(command, { resolve: this.#options.meter.committing(command, resolve), reject, traceparent });
      this.#wakeUp?.();
    });
  }

  async #run(): Promise<void> {
    for (let attempt = 0; this.#isRunning(); attempt++) {
      try {
        await this.#recoverShard();
        attempt = 0;
        await this.#serve();
      } catch (thrown) {
        const wasServing = this.phase === 'serving';
        tell(this.#core.failed());
        if (!this.#isRunning()) return;
        await this.#recover(asPartitaError(thrown), attempt, wasServing);
      }
    }
  }

  /** A method, because the phase changes during every await. */
  #isRunning(): boolean {
    return this.#core.phase !== 'stopped';
  }

  async #recover(error: PartitaError, attempt: number, wasServing: boolean): Promise<void> {
    const { logger, lines } = this.#options;
    const { shard, claimEpoch } = this;
    const { reason, message: why } = error;
    if (reason === 'INTERNAL') logger.error({ err: error, shard }, 'serving a group shard failed');
    if (wasServing) lines.write('group shard lost', { shard, claim_epoch: claimEpoch, reason, why });
    else logger.warn({ shard, reason }, `the group shard is not served yet: ${why}`);
    if (error.reason === 'FENCED_CLAIM') await pause(FENCED_PAUSE_MS);
    else if (error.reason !== 'OUTCOME_UNKNOWN') await pause(backoffDelayMs(attempt, systemRandom));
  }

  /** One attempt, as a trace. */
  async #recoverShard(): Promise<void> {
    const attributes = { 'partita.shard': this.shard };
    const operation = beginOperation(this.#options.tracing, 'recover_group_shard', 'recover group shard', {
      attributes,
    });
    try {
      await operation.within(() => this.#takeOver(operation));
    } catch (error) {
      operation.fail(error);
      throw error;
    } finally {
      operation.end();
    }
  }

  async #takeOver(operation: Operation): Promise<void> {
    const { log, lines } = this.#options;
    const { shard } = this;
    const startedMs = performance.now();
    const claim = await operation.part('claim', {}, () => log.claim(this.#core.claimEpoch));
    this.#core.claimed(claim.claimEpoch);
    if (!this.#isRunning()) return;
    let records = 0;
    const isAlone = await operation.part('replay', {}, () =>
      log.replay(claim.offset, (record) => {
        this.#core.replayed(decodeGroupRecord(record));
        records += 1;
      }),
    );
    this.#core.replayEnded(isAlone);
    if (!this.#isRunning()) return;
    if (!isAlone) throw overtaken(shard, claim.claimEpoch);
    const duration_ms = Math.round(performance.now() - startedMs);
    operation.set('partita.record_count', records);
    const fields = { shard, claim_epoch: claim.claimEpoch, groups: this.state.size, records, duration_ms };
    lines.write('group shard taken', fields);
    this.#options.listener.onServing();
    this.#tellWaiting();
  }

  #tellWaiting(): void {
    for (const wake of [...this.#waitingToServe]) wake();
  }

  async #serve(): Promise<void> {
    while (this.phase === 'serving') {
      if (!this.#core.hasWork) await new Promise<void>((resolve) => (this.#wakeUp = resolve));
      this.#wakeUp = undefined;
      const { answers, append } = this.#core.step();
      tell(answers);
      if (append === undefined) continue;
      const decidedMs = performance.now();
      await this.#append(append);
      const news = this.#core.appended();
      if (news.changed.size > 0) this.#options.listener.onChanged(news.changed, decidedMs);
      tell(news.answers);
    }
  }

  /** Throws when the shard has to be claimed anew. */
  async #append(first: ShardAppend<RecordInput>): Promise<void> {
    let append = first;
    const traceparents = this.#core.ticketsUnderWay.map(({ traceparent }) => traceparent);
    const traces = traceparents.filter((traceparent) => traceparent !== '');
    for (let attempt = 0; ; attempt++) {
      try {
        await this.#options.log.append(append, traces);
        return;
      } catch (thrown) {
        const isInDoubt = asPartitaError(thrown).reason === 'OUTCOME_UNKNOWN';
        const again = isInDoubt ? this.#core.inDoubt() : undefined;
        if (again === undefined) throw thrown;
        await pause(backoffDelayMs(attempt, systemRandom));
        // A shard that was given up meanwhile appends nothing more.
        if (!this.#isRunning()) throw thrown;
        append = again;
      }
    }
  }
}

function overtaken(shard: number, claimEpoch: number): PartitaError {
  const message = `another instance has claimed the shard while it was replayed under claim ${claimEpoch}`;
  return new PartitaError('FENCED_CLAIM', message, { shard: String(shard), claim_epoch: String(claimEpoch) });
}

function tell(answers: readonly ShardAnswer<Caller>[]): void {
  for (const answer of answers) {
    if ('error' in answer) answer.ticket.reject(answer.error);
    else answer.ticket.resolve(answer.response);
  }
}
