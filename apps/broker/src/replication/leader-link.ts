/**
 * The follower's end of a replication stream: one leader's broker, many partitions. It joins for each replica that seeks
 * the leader there, takes what comes, and acknowledges what is durable, the newest acknowledgement of a partition only.
 */
import {
  partitionKey,
  PEER_PROTOCOL_VERSION,
  REPLICATION_SILENCE_MS_MAX,
  REPLICATION_STREAM_BYTES_MAX,
} from '@partita/domain';
import type { Clock, PartitaError, Random } from '@partita/domain';
import { ReplicationServiceService } from '@partita/protocol';
import type { JoinAck, ReplicateAppend, ReplicateRequest, ReplicateResponse } from '@partita/protocol';
import type { ReplicaEffect } from '@partita/replication';
import { openBidi } from '@partita/rpc/client';
import type { BidiStream, ChannelPool } from '@partita/rpc/client';
import type { Logger } from '@partita/runtime';
import type { BrokerMetrics } from '../metrics/broker-metrics.ts';
import type { PartitionActor } from '../partition-actor.ts';
import { Outbox } from './outbox.ts';
import { receivedBatches } from './received-batches.ts';

export interface LeaderLinkOptions {
  readonly leaderId: number;
  /** Peer address of the leader's broker. */
  readonly address: string;
  readonly pool: ChannelPool;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: Pick<BrokerMetrics, 'received'>;
  readonly open: {
    readonly clusterId: string;
    readonly brokerId: number;
    readonly directoryId: string;
    readonly incarnation: bigint;
  };
  readonly onClosed: (link: LeaderLink, error: PartitaError | undefined) => void;
}

type Of<Kind extends ReplicaEffect['kind']> = Extract<ReplicaEffect, { kind: Kind }>;

/** Credit is given back in portions, so that it costs few messages. */
const CREDIT_PORTION_BYTES = REPLICATION_STREAM_BYTES_MAX / 8;

export class LeaderLink {
  readonly leaderId: number;
  readonly #options: LeaderLinkOptions;
  readonly #stream: BidiStream<ReplicateRequest>;
  readonly #outbox: Outbox<ReplicateRequest>;
  readonly #actors = new Map<string, PartitionActor>();
  /** Acknowledgements that have not left, by partition. */
  readonly #acks = new Map<string, ReplicateRequest>();
  #isOpen = false;
  #isClosed = false;
  #heardAtMs: number;
  #takenBytes = 0;
  #acksAreDue = false;

  constructor(options: LeaderLinkOptions) {
    this.#options = options;
    this.leaderId = options.leaderId;
    this.#heardAtMs = options.clock.monotonicMs();
    this.#stream = openBidi(options.pool.client(options.address), ReplicationServiceService.replicate, {
      onMessage: (message) => this.#onMessage(message),
      onDrain: () => {
        this.#outbox.drain();
        this.#sendAcks();
      },
      onClose: (error) => this.#onClose(error),
    });
    this.#outbox = new Outbox(this.#stream);
    const open = {
      ...options.open,
      protocolVersion: PEER_PROTOCOL_VERSION,
      creditBytes: BigInt(REPLICATION_STREAM_BYTES_MAX),
    };
    this.#outbox.push({ message: { $case: 'open', open } });
  }

  get address(): string {
    return this.#options.address;
  }

  /** True when the other side has ever answered. */
  get wasOpen(): boolean {
    return this.#isOpen;
  }

  /** The replica looks for its leader here. */
  seek(actor: PartitionActor, epoch: number): void {
    this.#actors.set(partitionKey(actor), actor);
    if (this.#isOpen) this.#offer(actor, epoch);
  }

  join(actor: PartitionActor, { epoch, nonce, history, logEnd: logEndOffset, configFloor }: Of<'send-join'>): void {
    const { topicId, partition, state } = actor;
    const join = {
      topicId,
      partition,
      epoch,
      nonce: Buffer.from(nonce, 'hex'),
      history: [...history],
      logEndOffset,
      replica: state.self,
      suspect: state.meta.suspect,
      configFloor,
    };
    this.#outbox.push({ message: { $case: 'join', join } });
  }

  ack(actor: PartitionActor, { epoch, nonce, durableEnd: logEndOffset, fsynced }: Of<'send-ack'>): void {
    const { topicId, partition } = actor;
    const ack = { topicId, partition, epoch, nonce: Buffer.from(nonce, 'hex'), logEndOffset, fsynced };
    this.#acks.set(partitionKey(actor), { message: { $case: 'ack', ack } });
    if (this.#acksAreDue) return;
    this.#acksAreDue = true;
    setImmediate(() => this.#sendAcks());
  }

  fenced({ topicId, partition }: PartitionActor, promisedEpoch: number): void {
    this.#outbox.push({ message: { $case: 'fenced', fenced: { topicId, partition, promisedEpoch } } });
  }

  /** Heartbeat and silence. Called each REPLICA_TICK_MS. */
  tick(beat: boolean): void {
    if (this.#options.clock.monotonicMs() - this.#heardAtMs > REPLICATION_SILENCE_MS_MAX) {
      this.close();
      return;
    }
    if (beat && this.#isOpen && this.#stream.writable) {
      this.#stream.send({ message: { $case: 'heartbeat', heartbeat: {} } });
    }
  }

  /** Gives the stream up; the replicas look for their leader again. */
  close(): void {
    this.#stream.cancel();
    this.#onClose(undefined);
  }

  #onMessage({ message }: ReplicateResponse): void {
    this.#heardAtMs = this.#options.clock.monotonicMs();
    switch (message?.$case) {
      case 'opened':
        this.#isOpen = true;
        for (const actor of this.#actors.values()) this.#offer(actor, actor.state.following?.epoch ?? 0);
        return;
      case 'joinAck':
        return this.#onJoinAck(message.joinAck);
      case 'joinRefused': {
        const { topicId, partition, nonce } = message.joinRefused;
        this.#actor(topicId, partition)?.feed({ kind: 'join-refused', nonce: hex(nonce) });
        return;
      }
      case 'snapshot': {
        const { topicId, partition, nonce, baseOffset, snapshot: content } = message.snapshot;
        this.#actor(topicId, partition)?.feed({ kind: 'snapshot', nonce: hex(nonce), baseOffset, content });
        return;
      }
      case 'append':
        return this.#onAppend(message.append);
      default:
        return;
    }
  }

  #onJoinAck({ topicId, partition, epoch, nonce, truncateTo, fromSnapshot, unclean }: JoinAck): void {
    const answer = { epoch, nonce: hex(nonce), truncateTo, fromSnapshot, unclean };
    this.#actor(topicId, partition)?.feed({ kind: 'join-ack', ...answer });
  }

  #onAppend(append: ReplicateAppend): void {
    const { topicId, partition, epoch, nonce, baseOffset, previousEpoch, recordBatches } = append;
    const { highWatermark, logStartOffset: logStart, inSync } = append;
    const actor = this.#actor(topicId, partition);
    if (actor !== undefined) {
      try {
        const batches = receivedBatches(recordBatches, actor.seed);
        const news = { baseOffset, previousEpoch, batches, highWatermark, logStart, inSync };
        const durableBefore = actor.log.syncedEnd;
        actor.feed({ kind: 'replicate', epoch, nonce: hex(nonce), ...news });
        if (append.traced !== undefined)
          actor.traces?.onReceived(append.traced.batches, this.#heardAtMs, { durableBefore, logEnd: actor.log.logEnd });
      } catch (error) {
        const { logger, leaderId } = this.#options;
        logger.error({ err: error, topicId, partition, leaderId }, 'what a leader sent cannot be stored; asking again');
        this.close();
        return;
      }
    }
    this.#options.metrics.received.add(recordBatches.length);
    this.#takenBytes += recordBatches.length;
    if (this.#takenBytes < CREDIT_PORTION_BYTES) return;
    this.#outbox.push({ message: { $case: 'credit', credit: { bytes: BigInt(this.#takenBytes) } } });
    this.#takenBytes = 0;
  }

  #offer(actor: PartitionActor, epoch: number): void {
    const nonce = this.#options.random.uuid().replaceAll('-', '');
    actor.feed({ kind: 'link-open', leaderId: this.leaderId, epoch, nonce });
  }

  #actor(topicId: string, partition: number): PartitionActor | undefined {
    const key = partitionKey({ topicId, partition });
    const actor = this.#actors.get(key);
    if (actor?.isClosed !== true) return actor;
    this.#actors.delete(key);
    return undefined;
  }

  #sendAcks(): void {
    this.#acksAreDue = false;
    for (const [key, message] of this.#acks) {
      if (!this.#outbox.isEmpty || !this.#stream.writable) return;
      this.#acks.delete(key);
      this.#stream.send(message);
    }
  }

  #onClose(error: PartitaError | undefined): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#options.onClosed(this, error);
    for (const actor of this.#actors.values()) actor.feed({ kind: 'link-lost', leaderId: this.leaderId });
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
