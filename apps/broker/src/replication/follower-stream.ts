/**
 * The leader's end of a replication stream: one follower broker, many partitions. Joins are answered by the replicas'
 * cores; what follows is sent by a FollowerSender for each partition, as long as the follower's credit lasts.
 */
import {
  PartitaError,
  partitionKey,
  PEER_PROTOCOL_VERSION,
  REPLICATION_HEARTBEAT_MS,
  REPLICATION_SILENCE_MS_MAX,
} from '@partita/domain';
import type { Clock } from '@partita/domain';
import type { Join, ReplicateAck, ReplicateOpen, ReplicateRequest, ReplicateResponse } from '@partita/protocol';
import { belongsToSome, countsInSome, FollowerSender } from '@partita/replication';
import type { JoinOutcome, OutgoingAppend, SenderStream } from '@partita/replication';
import type { BidiHandlers, ServerBidiStream } from '@partita/rpc/server';
import { checkCluster } from '../cluster-check.ts';
import type { BrokerMetrics } from '../metrics/broker-metrics.ts';
import type { PartitionActor } from '../partition-actor.ts';
import type { PartitionRegistry } from '../partition-registry.ts';
import type { CopyBudget } from './copy-budget.ts';
import { asStorageFailure } from '../storage-failure.ts';
import { Outbox } from './outbox.ts';

export interface FollowerStreamOptions {
  readonly registry: PartitionRegistry;
  readonly clusterId: string;
  readonly brokerId: number;
  readonly clock: Clock;
  readonly metrics: Pick<BrokerMetrics, 'sent'>;
  /** Of all that this broker sends to replicas that are being made. */
  readonly copies: CopyBudget;
  /** Called for each stream that was opened, so that the clock reaches it. */
  readonly onOpened: (stream: FollowerStream) => void;
  readonly onClosed: (stream: FollowerStream) => void;
}

interface Followed {
  readonly actor: PartitionActor;
  readonly nonce: string;
  readonly sender: FollowerSender<Uint8Array>;
  readonly replicaId: string;
  /** Looks at the clock since it left the set. */
  tickCountOut: number;
}

/** A replica that has left its set is told so meanwhile; then nothing is kept for it. */
const TICKS_OUT_COUNT_MAX = 3;

const MESSAGE_HEAD_BYTES = 128;

export class FollowerStream implements BidiHandlers<ReplicateRequest> {
  readonly #stream: ServerBidiStream<ReplicateResponse>;
  readonly #options: FollowerStreamOptions;
  readonly #outbox: Outbox<ReplicateResponse>;
  readonly #followed = new Map<string, Followed>();
  #follower: ReplicateOpen | undefined;
  #creditBytes = 0;
  #heardAtMs: number;
  #isClosed = false;
  readonly #goOnCopying = (): void => this.#pumpAll();

  constructor(stream: ServerBidiStream<ReplicateResponse>, options: FollowerStreamOptions) {
    this.#stream = stream;
    this.#options = options;
    this.#outbox = new Outbox(stream);
    this.#heardAtMs = options.clock.monotonicMs();
    stream.onDrain(() => {
      this.#outbox.drain();
      this.#pumpAll();
    });
  }

  /** Broker at the other end; 0 until it has said so. */
  get followerId(): number {
    return this.#follower?.brokerId ?? 0;
  }

  onMessage({ message }: ReplicateRequest): void {
    this.#heardAtMs = this.#options.clock.monotonicMs();
    if (this.#follower === undefined) {
      if (message?.$case !== 'open')
        throw new PartitaError('STREAM_ORDER', 'the first message of a replication stream is `open`');
      return this.#open(message.open);
    }
    switch (message?.$case) {
      case 'join':
        return this.#join(message.join, this.#follower.brokerId);
      case 'ack':
        return this.#ack(message.ack, this.#follower.brokerId);
      case 'credit':
        this.#creditBytes += Number(message.credit.bytes);
        return this.#pumpAll();
      case 'fenced': {
        const { topicId, partition, promisedEpoch } = message.fenced;
        this.#options.registry.actor(topicId, partition)?.feed({ kind: 'fenced', promisedEpoch });
        return;
      }
      case 'open':
        throw new PartitaError('STREAM_ORDER', 'a replication stream is opened once');
      default:
        return;
    }
  }

  onClose(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#options.copies.forget(this.#goOnCopying);
    for (const key of [...this.#followed.keys()]) this.#drop(key);
    this.#options.onClosed(this);
  }

  /** This broker stops: its followers look for another leader. */
  end(): void {
    this.#stream.end(new PartitaError('SHUTTING_DOWN', 'the broker stops'));
    this.onClose();
  }

  /** Heartbeat, watermarks, silence. Called each REPLICA_TICK_MS. */
  tick(beat: boolean): void {
    if (this.#options.clock.monotonicMs() - this.#heardAtMs > REPLICATION_SILENCE_MS_MAX) {
      this.#stream.end(new PartitaError('TIMED_OUT', `nothing heard for ${REPLICATION_SILENCE_MS_MAX} ms`));
      this.onClose();
      return;
    }
    if (beat && this.#stream.writable) this.#stream.send({ message: { $case: 'heartbeat', heartbeat: {} } });
    for (const [key, followed] of this.#followed) {
      const { actor, sender, replicaId } = followed;
      followed.tickCountOut = belongsToSome(actor.state, replicaId) ? 0 : followed.tickCountOut + 1;
      const isOver = followed.tickCountOut > TICKS_OUT_COUNT_MAX;
      if (sender.isCurrent && !actor.isClosed && !isOver) sender.tell();
      else this.#drop(key);
    }
  }

  #open(open: ReplicateOpen): void {
    const { clusterId, brokerId, onOpened } = this.#options;
    checkCluster(clusterId, open.clusterId);
    if (open.protocolVersion !== PEER_PROTOCOL_VERSION) {
      throw new PartitaError(
        'VERSION_NOT_SUPPORTED',
        `broker ${open.brokerId} speaks version ${open.protocolVersion} of the protocol between peers, this one ${PEER_PROTOCOL_VERSION}`,
      );
    }
    this.#follower = open;
    this.#creditBytes = Number(open.creditBytes);
    this.#push({ $case: 'opened', opened: { brokerId, heartbeatMs: REPLICATION_HEARTBEAT_MS } });
    onOpened(this);
  }

  #join(join: Join, brokerId: number): void {
    const { topicId, partition, epoch, history, logEndOffset: logEnd, configFloor } = join;
    const actor = this.#options.registry.actor(topicId, partition);
    const nonce = Buffer.from(join.nonce).toString('hex');
    if (actor === undefined || actor.isClosed) {
      this.#refuse(join, 'REPLICA_NOT_FOUND', 0);
      return;
    }
    const replicaId = join.replica?.replicaId ?? '';
    const reply = (outcome: JoinOutcome) => {
      if (this.#isClosed) actor.feed({ kind: 'follower-lost', brokerId, nonce });
      else if (outcome.joined) this.#joined(actor, join, nonce, outcome);
      else this.#refuse(join, 'NOT_LEADER', outcome.epoch);
    };
    actor.feed({ kind: 'join', epoch, brokerId, replicaId, nonce, history, logEnd, configFloor, reply });
  }

  #refuse({ topicId, partition, nonce }: Join, errorReason: string, epoch: number): void {
    const joinRefused = { topicId, partition, nonce, errorReason, epoch, leaderId: 0 };
    this.#push({ $case: 'joinRefused', joinRefused });
  }

  #joined(actor: PartitionActor, join: Join, nonce: string, outcome: JoinOutcome): void {
    const { topicId, partition } = join;
    const { epoch, truncateTo, fromSnapshot, unclean } = outcome;
    this.#drop(partitionKey(join));
    const sender = new FollowerSender<Uint8Array>({
      state: () => actor.state,
      epoch,
      brokerId: this.followerId,
      nonce,
      source: actor.senderSource,
      stream: this.#senderStream(actor, join),
    });
    const replicaId = join.replica?.replicaId ?? '';
    this.#followed.set(partitionKey(join), { actor, nonce, sender, replicaId, tickCountOut: 0 });
    actor.addSender(sender);
    const joinAck = { topicId, partition, epoch, nonce: join.nonce, truncateTo, fromSnapshot, unclean: [...unclean] };
    this.#push({ $case: 'joinAck', joinAck });
    sender.begin(outcome);
  }

  #senderStream(actor: PartitionActor, { nonce, replica }: Join): SenderStream<Uint8Array> {
    const { topicId, partition } = actor;
    const { copies } = this.#options;
    const isMember = () => countsInSome(actor.state, replica?.replicaId ?? '');
    const hasRoom = () => !this.#isClosed && this.#outbox.isEmpty && this.#stream.writable && this.#creditBytes > 0;
    const canSend = () => hasRoom() && (isMember() || copies.maySend(this.#goOnCopying));
    return {
      get canSend() {
        return canSend();
      },
      append: (message) => {
        if (!isMember()) copies.spend(message.batches?.bytes ?? 0);
        this.#append(actor, nonce, message);
      },
      snapshot: ({ epoch, baseOffset, content }) =>
        this.#push({
          $case: 'snapshot',
          snapshot: { topicId, partition, epoch, nonce, baseOffset, snapshot: content },
        }),
      fail: (error) => this.#stream.end(asStorageFailure(error)),
    };
  }

  #append(
    { topicId, partition, traces }: PartitionActor,
    nonce: Uint8Array,
    message: OutgoingAppend<Uint8Array>,
  ): void {
    const { epoch, baseOffset, previousEpoch, batches, highWatermark, logStart: logStartOffset, inSync } = message;
    const recordBatches = batches?.content ?? new Uint8Array();
    this.#creditBytes -= recordBatches.length;
    this.#options.metrics.sent.add(recordBatches.length);
    const append = {
      topicId,
      partition,
      epoch,
      nonce,
      baseOffset,
      previousEpoch,
      recordBatches,
      highWatermark,
      logStartOffset,
      inSync,
      traced: batches === undefined ? undefined : traces?.between(baseOffset, batches.endOffset),
    };
    this.#stream.send({ message: { $case: 'append', append } }, recordBatches.length + MESSAGE_HEAD_BYTES);
  }

  #ack({ topicId, partition, epoch, nonce, logEndOffset: durableEnd, fsynced }: ReplicateAck, brokerId: number): void {
    const followed = this.#followed.get(partitionKey({ topicId, partition }));
    if (followed === undefined || followed.nonce !== Buffer.from(nonce).toString('hex')) return;
    followed.actor.feed({ kind: 'follower-ack', epoch, brokerId, nonce: followed.nonce, durableEnd, fsynced });
    followed.sender.acked(durableEnd);
  }

  #drop(key: string): void {
    const followed = this.#followed.get(key);
    if (followed === undefined) return;
    this.#followed.delete(key);
    const { actor, nonce, sender } = followed;
    actor.removeSender(sender);
    actor.feed({ kind: 'follower-lost', brokerId: this.followerId, nonce });
  }

  /** Those that keep up go before those that catch up. */
  #pumpAll(): void {
    const level = ({ actor, sender }: Followed) => sender.nextOffset >= actor.state.highWatermark;
    const all = [...this.#followed.values()];
    for (const { sender } of [...all.filter(level), ...all.filter((one) => !level(one))]) {
      if (!this.#stream.writable) return;
      sender.pump();
    }
  }

  #push(message: NonNullable<ReplicateResponse['message']>): void {
    this.#outbox.push({ message });
  }
}
