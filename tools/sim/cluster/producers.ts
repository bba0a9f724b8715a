/**
 * Programs that write to one partition. One with a session numbers its batches and repeats each under its number until it
 * is acknowledged; one without sends each batch once, and remembers what it was told.
 */
import { BatchBuilder, CODEC_NONE } from '@partita/batch';
import { PartitaError } from '@partita/domain';
import type { ErrorReason } from '@partita/domain';
import { Acks, BrokerServiceService } from '@partita/protocol';
import type { AppendAck, AppendEntry } from '@partita/protocol';
import { fromRpcStatus } from '@partita/rpc';
import { callUnary } from '@partita/rpc/client';
import type { ClientSide } from './client-side.ts';
import type { KnownTopic } from './topics.ts';
import { uuidOf } from './virtual-time.ts';

const APPEND_MS = 3000;
const RETRY_MS = 200;
/** After these nobody can say whether the batch is in the log. */
const DOUBTFUL: ReadonlySet<ErrorReason> = new Set(['OUTCOME_UNKNOWN']);
/** The session is over: what was sent and not acknowledged may be in the log or not. */
const ENDS_SESSION: ReadonlySet<ErrorReason> = new Set(['UNKNOWN_PRODUCER', 'FENCED_PRODUCER', 'PRODUCER_EXPIRED']);

type Fate = 'open' | 'acked' | 'refused' | 'unknown';

/** A record, and what its producer was told of it. */
export interface SentRecord {
  readonly value: string;
  fate: Fate;
  /** Of one that was acknowledged. */
  offset: bigint | undefined;
  /** Which session of the producer it belongs to: what an ended one left behind may come later than what follows it. */
  readonly session: number;
  /** Its last call; a refusal is definite for that call alone. */
  refusedAs: ErrorReason | undefined;
}

export class Producer {
  readonly topic: KnownTopic;
  readonly partition: number;
  readonly isSession: boolean;
  /** In the order in which they were sent. */
  readonly sent: SentRecord[] = [];
  readonly #clients: ClientSide;
  readonly name: string;
  #producerId: Buffer;
  #sequence = 0n;
  #session = 0;
  #isStopped = false;
  #isBusy = false;

  constructor(clients: ClientSide, topic: KnownTopic, partition: number, isSession: boolean) {
    this.#clients = clients;
    this.topic = topic;
    this.partition = partition;
    this.isSession = isSession;
    this.name = `${topic.name}/${partition}/${isSession ? 'session' : 'single'}`;
    this.#producerId = this.#freshId();
  }

  start(): void {
    this.#next();
  }

  stop(): void {
    this.#isStopped = true;
  }

  get isIdle(): boolean {
    return !this.#isBusy;
  }

  /** One more record, until it is acknowledged or the topic is gone. */
  async writeAtLast(): Promise<void> {
    for (let tries = 0; this.topic.life === 'active'; tries += 1) {
      const record = await this.#write();
      if (record.fate === 'acked') return;
      await this.#clients.world.time.sleep(RETRY_MS);
    }
  }

  #next(): void {
    const { time, random, plan } = this.#clients.world;
    time.after(random.below(2 * plan.appendEveryMs), () => {
      if (this.#isStopped || this.topic.life !== 'active') return;
      void this.#write().then(() => this.#next());
    });
  }

  async #write(): Promise<SentRecord> {
    const record: SentRecord = {
      value: `${this.name}/${this.sent.length}`,
      fate: 'open',
      offset: undefined,
      session: this.#session,
      refusedAs: undefined,
    };
    this.sent.push(record);
    this.#isBusy = true;
    try {
      if (this.isSession) await this.#repeat(record);
      else await this.#once(record);
    } finally {
      this.#isBusy = false;
    }
    this.#clients.world.tally.add(`records ${record.fate}`);
    return record;
  }

  async #once(record: SentRecord): Promise<void> {
    const batch = this.#batch(record.value, {});
    const outcome = await this.#send(batch);
    if (outcome instanceof PartitaError) {
      record.fate = DOUBTFUL.has(outcome.reason) ? 'unknown' : 'refused';
      record.refusedAs = outcome.reason;
    } else this.#acked(record, outcome);
  }

  async #repeat(record: SentRecord): Promise<void> {
    const { time, random, tally } = this.#clients.world;
    const framing = { producerId: this.#producerId, producerEpoch: 0, firstSequence: this.#sequence };
    this.#sequence += 1n;
    // The same bytes each time: other ones under this number are another batch, which the leader refuses.
    const batch = this.#batch(record.value, framing);
    for (;;) {
      const outcome = await this.#send(batch);
      if (!(outcome instanceof PartitaError)) {
        if (outcome.duplicate) tally.add('seen: duplicate answered');
        this.#acked(record, outcome);
        return;
      }
      if (ENDS_SESSION.has(outcome.reason) || this.topic.life !== 'active') {
        record.fate = 'unknown';
        this.#producerId = this.#freshId();
        this.#sequence = 0n;
        this.#session += 1;
        return;
      }
      await time.sleep(random.below(2 * RETRY_MS));
    }
  }

  #acked(record: SentRecord, { baseOffset }: AppendAck): void {
    record.fate = 'acked';
    record.offset = baseOffset;
    this.#clients.world.trace.note(`${this.#clients.world.now} acked ${record.value} at ${baseOffset}`);
    this.#clients.world.oracle.onAcked(this.topic.topicId, this.partition, baseOffset, record.value);
  }

  #batch(value: string, framing: { producerId?: Buffer; producerEpoch?: number; firstSequence?: bigint }): Buffer {
    const builder = new BatchBuilder();
    const { time } = this.#clients.world;
    const timestampMs = BigInt(Math.floor(time.wallMs));
    builder.tryAdd({ key: undefined, value: Buffer.from(value), headers: [], timestampMs });
    return builder.build({ codec: CODEC_NONE, ...framing });
  }

  /** One call to whoever is said to lead. */
  async #send(batch: Buffer): Promise<AppendAck | PartitaError> {
    const { topicId } = this.topic;
    const { partition } = this;
    const address = await this.#clients.leaderOf(topicId, partition);
    if (address === undefined) return new PartitaError('LEADER_NOT_AVAILABLE', 'nobody knows the leader');
    const entry = {
      topicId,
      topic: '',
      partition,
      leaderEpoch: 0,
      recordBatches: batch,
      acks: Acks.ACKS_ALL,
      expectedNextOffset: undefined,
      claimEpoch: 0,
      traceparent: '',
      tracestate: '',
    };
    const error = await this.#call(address, entry);
    if (!(error instanceof PartitaError)) return error;
    this.#clients.forgetLeader(topicId, partition, error.metadata['address']);
    return error;
  }

  async #call(address: string, entry: AppendEntry): Promise<AppendAck | PartitaError> {
    const options = { deadlineMs: APPEND_MS, append: true };
    try {
      const client = this.#clients.client(address);
      const { results } = await callUnary(client, BrokerServiceService.append, { entries: [entry] }, options);
      const outcome = results[0]?.outcome;
      if (outcome?.$case === 'ack') return outcome.ack;
      if (outcome?.$case === 'error') return fromRpcStatus(outcome.error);
      throw new Error('an append has no result');
    } catch (error) {
      if (error instanceof PartitaError) return error;
      throw error;
    }
  }

  #freshId(): Buffer {
    const { random, time } = this.#clients.world;
    const hex = uuidOf(random).replaceAll('-', '');
    const id = Buffer.from(hex, 'hex');
    id.writeUIntBE(Math.floor(time.wallMs), 0, 6);
    id.writeUInt8((id.readUInt8(6) & 0x0f) | 0x70, 6);
    return id;
  }
}
