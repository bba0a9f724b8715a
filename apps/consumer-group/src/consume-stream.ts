/**
 * One member's stream: opening -> joining -> member -> over. Messages that come while joining wait (the caller is pushed
 * back); after it every message shows that the member lives. The stream may end and the member go on: it has its session
 * time-out to come back with its id.
 */
import { asPartitaError, HEARTBEAT_MS, PartitaError, STREAM_FRAMES_IN_FLIGHT_COUNT_MAX } from '@partita/domain';
import type { QuotaBrake } from '@partita/domain';
import { LeaderReader } from '@partita/client';
import type { RouteCache } from '@partita/client';
import { memberEpochOf } from '@partita/groups';
import type { GroupCommand, OffsetCommit as GroupCommit } from '@partita/groups';
import type {
  CommitFailure,
  ConsumeAck,
  ConsumeInitial,
  ConsumeLeave,
  ConsumeRequest,
  ConsumeResponse,
  ConsumeRevoked,
  ConsumeSeekEntry,
  ConsumeSubscription,
  OffsetCommit,
} from '@partita/protocol';
import { toRpcStatus } from '@partita/rpc';
import type { ChannelPool } from '@partita/rpc/client';
import { callerPeer, isRelayed } from '@partita/rpc/server';
import type { BidiHandlers, CallContext, ServerBidiStream } from '@partita/rpc/server';
import { systemRandom } from '@partita/runtime';
import type { Logger } from '@partita/runtime';
import { usesAppendTime } from './consumed-record.ts';
import { inCommitSpan } from './commit-span.ts';
import { DRAIN_GRACE_MS, draining, outOfOrder } from './consume-ends.ts';
import { checkInitial, checkStart, checkSubscription } from './consume-initial.ts';
import type { JoinRequest } from './consume-initial.ts';
import { Delivery, positionOf } from './delivery.ts';
import type { GroupMeter } from './group-meter.ts';
import type { GroupShards, OwnShard } from './group-shards.ts';
import type { LeaderCalls } from './leader-calls.ts';
import { commitFailure, prepareCommits } from './member-commits.ts';
import { MemberPartitions } from './member-partitions.ts';
import type { MemberLink } from './member-sessions.ts';
import { FEED_PACE } from './partition-feed.ts';
import { checkInLog } from './start-offsets.ts';

/** What all streams share. */
export interface ConsumeServices {
  readonly shards: GroupShards;
  readonly routes: RouteCache;
  readonly calls: LeaderCalls;
  readonly pool: ChannelPool;
  readonly logger: Logger;
  readonly meter: GroupMeter;
  /** What holds deliveries. */
  readonly brake: QuotaBrake;
  readonly tracing: boolean;
}

type Message = NonNullable<ConsumeRequest['message']>;
type Answer = NonNullable<ConsumeResponse['message']>;

/** How long a stream waits for the group's shard to be served. */
const SHARD_WAIT_MS = 10_000;
const SEEK_DEADLINE_MS = 5000;

/** A stream whose member is in the group. */
interface Membership {
  readonly group: string;
  readonly memberId: string;
  readonly shard: OwnShard;
  readonly partitions: MemberPartitions;
  readonly delivery: Delivery;
}

export class ConsumeStream implements BidiHandlers<ConsumeRequest>, MemberLink {
  readonly #stream: ServerBidiStream<ConsumeResponse>;
  readonly #context: CallContext;
  readonly #services: ConsumeServices;
  readonly #reader: LeaderReader;
  readonly #over = new AbortController();
  /** Messages that came while joining. Bounded by the stream, which is paused meanwhile. */
  #early: { readonly message: Message; readonly traceparent: string }[] = [];
  #phase: 'opening' | 'joining' | 'member' | 'over' = 'opening';
  #membership: Membership | undefined;
  #heartbeat: ReturnType<typeof setInterval> | undefined;
  #drainTimer: ReturnType<typeof setTimeout> | undefined;
  /** Acks, releases and seeks under way. */
  #pendingCount = 0;

  constructor(stream: ServerBidiStream<ConsumeResponse>, context: CallContext, services: ConsumeServices) {
    this.#stream = stream;
    this.#context = context;
    this.#services = services;
    this.#reader = new LeaderReader(services.routes, services.pool, FEED_PACE);
    stream.onClose(() => this.#close());
    stream.onDrain(() => this.#pump());
  }

  #pump(): void {
    this.#membership?.partitions.guarded(() => this.#membership?.delivery.pump());
  }

  onMessage({ message, traceparent }: ConsumeRequest): void {
    if (this.#phase === 'over') return;
    if (message === undefined)
      throw new PartitaError('INVALID_REQUEST', 'a message is empty, or of a kind that this server does not know', {
        field: 'message',
      });
    if (this.#phase === 'opening') {
      if (message.$case !== 'initial') throw outOfOrder('initial', message.$case);
      return this.#open(message.initial);
    }
    if (message.$case === 'initial') throw outOfOrder('anything but initial', 'initial');
    if (this.#membership === undefined) this.#early.push({ message, traceparent });
    else this.#onMember(this.#membership, message, traceparent);
  }

  onEnd(): void {
    this.#stream.end();
  }

  onGroupChanged(): void {
    this.#membership?.partitions.sync();
  }

  end(error: PartitaError): void {
    if (this.#phase === 'over') return;
    this.#services.meter.refused(error);
    this.#stream.end(error);
    this.#close();
  }

  /** Delivery cannot go on. A member that does not take a loss leaves, so that its partitions are not held up by it. */
  #fail(error: PartitaError): void {
    const membership = this.#membership;
    if (error.reason === 'OFFSET_LOST' && membership !== undefined && this.#phase === 'member') {
      const { group, memberId, shard } = membership;
      shard.sessions.detach(group, memberId, this);
      shard.owner
        .submit({ kind: 'leave', group, memberId, commits: [], wallMs: Date.now() })
        .catch((thrown: unknown) => this.#services.logger.debug({ err: thrown, group }, 'a member did not leave'));
    }
    this.end(error);
  }

  #open(initial: ConsumeInitial): void {
    this.#phase = 'joining';
    const request = checkInitial(initial);
    this.#stream.pause();
    this.#join(request, initial).catch((thrown: unknown) => this.end(asPartitaError(thrown)));
  }

  async #join(request: JoinRequest, initial: ConsumeInitial): Promise<void> {
    await Promise.all(request.topics.map((topic) => this.#services.routes.resolve(topic)));
    const shard = await this.#services.shards.of(request.group, SHARD_WAIT_MS, isRelayed(this.#context));
    const memberId = await this.#enter(shard, request);
    if (this.#over.signal.aborted) return;
    const { group } = request;
    const sink = this.#sink();
    const delivery = new Delivery({
      group,
      form: request.form,
      sink,
      delivered: this.#services.meter.delivered(group),
      tracing: this.#services.tracing,
      brake: this.#services.brake,
      clientId: this.#context.clientId,
      onHoldOver: () => this.#pump(),
      isAppendTime: (topicId) => usesAppendTime(this.#services.routes.table.topicById(topicId)),
    });
    const partitions = new MemberPartitions({
      ...this.#services,
      ...request,
      memberId,
      owner: shard.owner,
      reader: this.#reader,
      delivery,
      sink,
      signal: this.#over.signal,
      onFault: (error) => this.#fail(error),
    });
    if (!shard.sessions.attach(group, memberId, this))
      throw new PartitaError('STALE_GENERATION', 'the member was put out while it joined; join again', { group });
    this.#membership = { group, memberId, shard, partitions, delivery };
    this.#phase = 'member';
    const state = shard.owner.state.get(group);
    const memberEpoch = state === undefined ? 0 : memberEpochOf(state, memberId);
    this.#send({ $case: 'joined', joined: { memberId, memberEpoch, heartbeatMs: HEARTBEAT_MS, ownerAddress: '' } });
    if (initial.credit !== undefined) delivery.grant(initial.credit);
    this.#heartbeat = setInterval(() => this.#beat(), HEARTBEAT_MS);
    this.#context.draining.addEventListener('abort', this.#onDraining);
    if (this.#context.draining.aborted) this.#onDraining();
    partitions.sync();
    this.#takeEarly(this.#membership);
  }

  #takeEarly(membership: Membership): void {
    for (const { message, traceparent } of this.#early.splice(0))
      if (this.#phase === 'member') this.#onMember(membership, message, traceparent);
    this.#stream.resume();
  }

  /** Makes the member one of the group, or finds it there. */
  async #enter({ owner }: OwnShard, request: JoinRequest): Promise<string> {
    const { group, memberId, memberEpoch, instanceId, topics, topicPattern } = request;
    if (memberId !== '') {
      try {
        await owner.submit({ kind: 'rejoin', group, memberId, memberEpoch, instanceId, topics, topicPattern });
        return memberId;
      } catch (thrown) {
        const error = asPartitaError(thrown);
        if (error.reason !== 'MEMBER_NOT_FOUND') throw error;
        // With epoch 0 it asks to be in, whatever became of its old membership.
        if (memberEpoch !== 0) throw new PartitaError('STALE_GENERATION', error.message, error.metadata);
      }
    }
    const { clientId } = this.#context;
    const caller = { clientId, peer: callerPeer(this.#context), wallMs: Date.now() };
    const joined = await owner.submit({ ...request, ...caller, kind: 'join', memberId: systemRandom.uuid() });
    return joined.memberId;
  }

  #onMember(membership: Membership, message: Message, traceparent: string): void {
    membership.shard.sessions.heard(membership.group, membership.memberId);
    switch (message.$case) {
      case 'credit':
        return membership.delivery.grant(message.credit);
      case 'ack':
        return this.#track(this.#ack(membership, message.ack, traceparent));
      case 'revoked':
        return this.#track(this.#release(membership, message.revoked, traceparent));
      case 'seek':
        for (const entry of message.seek.entries) this.#track(this.#seek(membership, entry));
        return;
      case 'pause':
        for (const { topic, partition } of message.pause.partitions)
          this.#setPaused(membership, topic, partition, true);
        return;
      case 'resume':
        for (const { topic, partition } of message.resume.partitions)
          this.#setPaused(membership, topic, partition, false);
        return;
      case 'subscription':
        return this.#track(this.#subscribe(membership, message.subscription));
      case 'leave':
        return this.#track(this.#leave(membership, message.leave, traceparent));
      case 'heartbeat':
      case 'initial':
    }
  }

  /** Bounds what is under way: a caller that sends faster is pushed back. A failure ends the stream. */
  #track(work: Promise<void>): void {
    this.#pendingCount += 1;
    if (this.#pendingCount === STREAM_FRAMES_IN_FLIGHT_COUNT_MAX) this.#stream.pause();
    work
      .catch((thrown: unknown) => this.end(asPartitaError(thrown)))
      .finally(() => {
        this.#pendingCount -= 1;
        if (this.#pendingCount === STREAM_FRAMES_IN_FLIGHT_COUNT_MAX - 1) this.#stream.resume();
      });
  }

  async #ack(membership: Membership, { ackId, offsets }: ConsumeAck, traceparent: string): Promise<void> {
    const { group, memberId } = membership;
    try {
      const { failures } = await this.#commit(membership, offsets, traceparent, (commits) => {
        return { kind: 'commit', group, memberId, commits, wallMs: Date.now() };
      });
      if (ackId === 0n) return;
      const error = failures[0]?.error;
      this.#send({ $case: 'ackResult', ackResult: { ackId, error, failures } });
    } catch (thrown) {
      const error = asPartitaError(thrown);
      if (error.reason === 'INVALID_REQUEST') throw error;
      this.#services.meter.refused(error);
      if (ackId !== 0n)
        this.#send({ $case: 'ackResult', ackResult: { ackId, error: toRpcStatus(error), failures: [] } });
    }
  }

  async #release(membership: Membership, revoked: ConsumeRevoked, traceparent: string): Promise<void> {
    const { group, memberId } = membership;
    const { table } = this.#services.routes;
    const partitions = revoked.partitions.flatMap(({ topic, partition, assignmentEpoch }) => {
      const topicId = table.topic(topic)?.topicId;
      return topicId === undefined ? [] : [{ topicId, partition, assignmentEpoch }];
    });
    await this.#commit(membership, revoked.offsets, traceparent, (commits) => {
      return { kind: 'release', group, memberId, partitions, commits, wallMs: Date.now() };
    });
  }

  async #leave(membership: Membership, leave: ConsumeLeave, traceparent: string): Promise<void> {
    const { group, memberId, shard } = membership;
    // The member is gone on purpose: its stream ends with OK, not as one that was put out.
    shard.sessions.detach(group, memberId, this);
    await this.#commit(membership, leave.offsets, traceparent, (commits) => {
      return { kind: 'leave', group, memberId, commits, wallMs: Date.now() };
    });
    this.#stream.end();
    this.#close();
  }

  async #subscribe(membership: Membership, subscription: ConsumeSubscription): Promise<void> {
    const { group, memberId, shard } = membership;
    const wanted = checkSubscription(subscription);
    await Promise.all(wanted.topics.map((topic) => this.#services.routes.resolve(topic)));
    await shard.owner.submit({ kind: 'subscribe', group, memberId, ...wanted });
  }

  /** Moves a position. A partition that the member does not hold any more is left alone. */
  async #seek(membership: Membership, entry: ConsumeSeekEntry): Promise<void> {
    const { partitions, delivery } = membership;
    const { topic, partition, assignmentEpoch } = entry.partition ?? { topic: '', partition: 0, assignmentEpoch: 0 };
    const feed = partitions.feed(topic, partition);
    const position = checkStart(entry.position);
    if (feed?.assignmentEpoch !== assignmentEpoch) return;
    feed.held = true;
    delivery.forget(feed);
    const { signal } = this.#over;
    const found = await this.#services.calls.listOffset(feed.name, position, { deadlineMs: SEEK_DEADLINE_MS, signal });
    checkInLog(feed.name, position, found);
    const { offset, highWatermark } = found;
    if (partitions.feed(topic, partition) !== feed) return;
    if (highWatermark > feed.highWatermark) feed.highWatermark = highWatermark;
    feed.seekId = entry.seekId;
    feed.held = false;
    feed.moveTo(offset);
  }

  #setPaused({ partitions, delivery }: Membership, topic: string, partition: number, paused: boolean): void {
    const feed = partitions.feed(topic, partition);
    if (feed === undefined) return;
    feed.setPaused(paused);
    if (paused) delivery.forget(feed);
    else delivery.wake(feed);
  }

  /** Checks the offsets and makes the command that carries them durable, in its span when it is traced. */
  #commit(
    { group, partitions, shard }: Membership,
    offsets: readonly OffsetCommit[],
    traceparent: string,
    command: (commits: readonly GroupCommit[]) => GroupCommand,
  ): Promise<{ readonly failures: CommitFailure[] }> {
    const traced = this.#services.tracing && offsets.length > 0 ? traceparent : '';
    return inCommitSpan({ group, partitionCount: offsets.length, traceparent: traced }, async (append) => {
      const { commits, failures } = await prepareCommits(offsets, {
        ...this.#services,
        signal: this.#over.signal,
        seen: (topic, partition) => partitions.feed(topic, partition)?.highWatermark,
        epochOf: (commit) => commit.assignmentEpoch,
      });
      const { refusals } = await shard.owner.submit(command(commits), append);
      return { failures: [...failures, ...refusals.map(commitFailure)] };
    });
  }

  #beat(): void {
    const positions = [...(this.#membership?.partitions.feeds() ?? [])].map(positionOf);
    if (this.#stream.writable) this.#send({ $case: 'heartbeat', heartbeat: { positions } });
  }

  /** The membership lives on: another instance, or this one started again, takes it over. */
  readonly #onDraining = (): void => {
    this.#send({ $case: 'draining', draining: { graceMs: DRAIN_GRACE_MS } });
    this.#drainTimer = setTimeout(() => this.end(draining()), DRAIN_GRACE_MS);
  };

  #sink(): { send(message: Answer, bytes: number): boolean; readonly writable: boolean } {
    const stream = this.#stream;
    return {
      send: (message, bytes) => stream.send({ message }, bytes),
      get writable() {
        return stream.writable;
      },
    };
  }

  #send(message: Answer): void {
    if (this.#phase !== 'over') this.#stream.send({ message });
  }

  #close(): void {
    if (this.#phase === 'over') return;
    this.#phase = 'over';
    this.#over.abort();
    clearInterval(this.#heartbeat);
    clearTimeout(this.#drainTimer);
    this.#context.draining.removeEventListener('abort', this.#onDraining);
    const membership = this.#membership;
    membership?.partitions.close();
    membership?.delivery.close();
    membership?.shard.sessions.detach(membership.group, membership.memberId, this);
    this.#reader.close();
    this.#early = [];
  }
}
