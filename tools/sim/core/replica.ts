/** A running replica: the production runner and senders on simulated ports, looked at by the oracle after each event. */
import { InvariantError } from '@partita/domain';
import { FollowerSender, inSyncIds, PartitionRunner, recoveredState } from '@partita/replication';
import type {
  DurableMeta,
  JournalPort,
  LeaderRole,
  PartitionState,
  ReplicaInput,
  SenderSource,
} from '@partita/replication';
import { Violation } from '../trace.ts';
import type { Broker } from './broker.ts';
import { TOPIC_ID } from './identities.ts';
import { Later } from './later.ts';
import type { ReplicaDisk } from './replica-disk.ts';
import { SimulatedLog } from './simulated-log.ts';
import type { StoredBatch } from './stored-batch.ts';
import type { Stream } from './stream.ts';
import type { World } from './world.ts';

type Batches = readonly StoredBatch[];

/** As large as a message may be, so that a few fill what may be on its way. */
const BATCH_BYTES = 1024 * 1024;

export class Replica implements JournalPort {
  readonly partition: number;
  readonly disk: ReplicaDisk;
  readonly log: SimulatedLog;
  readonly runner: PartitionRunner;
  /** By the follower's broker. */
  readonly senders = new Map<number, { readonly sender: FollowerSender<Batches>; readonly stream: Stream }>();
  /** Joins that stand or stood, by nonce, with the streams that they came on. */
  readonly joins = new Map<string, Stream>();
  /** As the oracle saw it last. */
  seenHighWatermark: bigint;
  seenInstallCount = 0;
  seenLeading = false;
  isClosed = false;
  /** Epoch that it led or followed last. */
  seenEpoch = 0;
  #persisting: DurableMeta | undefined;
  #inSyncCount = 0;
  #hasShrunk = false;
  #depth = 0;
  readonly #world: World;
  readonly #broker: Broker;

  constructor(world: World, broker: Broker, partition: number, disk: ReplicaDisk) {
    this.#world = world;
    this.#broker = broker;
    this.partition = partition;
    this.disk = disk;
    const feed = (input: ReplicaInput) => this.feed(input);
    this.log = new SimulatedLog({ world, broker, partition, disk, feed });
    this.runner = new PartitionRunner({
      state: recoveredState({
        self: disk.identity,
        topicId: TOPIC_ID,
        partition,
        meta: disk.meta,
        highWatermark: disk.checkpoint,
        ...disk.facts(),
      }),
      log: this.log,
      journal: this,
      links: broker.links.portOf(partition),
      clock: { wallMs: () => world.nowMs + broker.wallOffsetMs, monotonicMs: () => world.nowMs },
      observer: {
        onChanged: (what) => {
          if (what === 'in-sync') this.#onInSync();
        },
        onAppended: () => {},
        onStopped: (error) => this.#onStopped(error),
      },
    });
    world.oracle(partition).knowsSessions(this);
    this.seenHighWatermark = this.state.highWatermark;
    this.seenInstallCount = disk.installCount;
  }

  /** Deleted: nothing reaches it any more, and nothing that it began is finished. */
  close(): void {
    this.isClosed = true;
    this.log.close();
  }

  get state(): Readonly<PartitionState> {
    return this.runner.state;
  }

  get leaderRole(): LeaderRole | undefined {
    const { role } = this.state;
    return role.kind === 'leader' ? role : undefined;
  }

  /** It knows of a config that is not known to be committed. */
  get hasChangeUnderWay(): boolean {
    return (this.state.configs[0]?.version ?? 0) > this.state.configFloor;
  }

  get inSync(): number[] {
    const role = this.leaderRole;
    return role === undefined ? [] : inSyncIds(this.state, role);
  }

  feed(input: ReplicaInput): void {
    if (this.isClosed) return;
    const { trace } = this.#world;
    if (trace !== undefined && input.kind !== 'expire') this.#note(input);
    const wasLeader = this.leaderRole !== undefined;
    const pause = this.leaderRole?.pause;
    this.#depth += 1;
    try {
      this.runner.feed(input);
    } finally {
      this.#depth -= 1;
    }
    if (input.kind === 'expire' && wasLeader) this.#onLookedAtClock();
    if (pause !== undefined && pause.queue.length > 0) this.#onQueued();
    if (input.kind === 'log-cut' || input.kind === 'journaled') this.#world.oracle(this.partition).knowsSessions(this);
    if (this.#depth > 0) return;
    this.#world.oracle(this.partition).look(this);
    for (const { sender } of this.senders.values()) sender.pump();
  }

  persist(meta: DurableMeta): Promise<void> {
    const world = this.#world;
    const later = new Later<void>();
    this.#persisting = meta;
    const { plan, random } = world;
    const delayMs = 0.1 + (random.word() / 2 ** 32) * plan.syncMsMax;
    world.afterOf(this.#broker, delayMs, () => {
      if (this.isClosed) return;
      this.#write(meta);
      later.resolve();
    });
    return later;
  }

  /** The process is gone: what it was writing may have been written. */
  settleJournal(): void {
    if (this.#persisting !== undefined && this.#world.random.chance(0.4)) this.#write(this.#persisting);
  }

  serve(brokerId: number, nonce: string, stream: Stream): FollowerSender<Batches> {
    const role = this.leaderRole;
    const sender = new FollowerSender<Batches>({
      state: () => this.state,
      epoch: role?.epoch ?? 0,
      brokerId,
      nonce,
      source: this.#source(),
      stream: stream.senderStream(this.partition, nonce),
    });
    this.senders.set(brokerId, { sender, stream });
    return sender;
  }

  /** Appends were queued in a pause before this input. */
  #onQueued(): void {
    const { leaderRole } = this;
    if (leaderRole?.pause !== undefined) return;
    this.#world.tally.add(`seen: queued append ${leaderRole === undefined ? 'sent on' : 'taken after a pause'}`);
  }

  #onLookedAtClock(): void {
    if (this.leaderRole === undefined) this.#world.tally.add('seen: leader resigned by stall');
  }

  #onInSync(): void {
    const { tally } = this.#world;
    const count = this.inSync.length;
    tally.add('changes of in-sync sets');
    if (count < this.#inSyncCount) this.#hasShrunk = true;
    else if (this.#hasShrunk) {
      this.#hasShrunk = false;
      tally.add('seen: in-sync set shrank and regrew');
    }
    this.#inSyncCount = count;
  }

  #write(meta: DurableMeta): void {
    if (this.isClosed) return;
    this.#persisting = undefined;
    this.#world.oracle(this.partition).journals(this.disk, meta);
    this.disk.meta = meta;
  }

  #source(): SenderSource<Batches> {
    const { disk, log } = this;
    const { random, plan } = this.#world;
    const outgoing = (from: number, count: number) => {
      const content = disk.batches.slice(from, from + Math.max(1, count));
      const last = content.at(-1);
      return last && { content, bytes: content.length * BATCH_BYTES, endOffset: last.endOffset };
    };
    return {
      recent: (fromOffset) => {
        if (random.chance(plan.memoryMiss)) return undefined;
        const index = disk.indexAbove(fromOffset);
        if (disk.batches[index]?.baseOffset !== fromOffset) return undefined;
        return outgoing(index, random.between(1, 4));
      },
      read: (fromOffset) =>
        this.#readLater(() => {
          if (fromOffset < disk.base.offset) throw new RangeError('the log begins later');
          const index = disk.indexAbove(fromOffset);
          const count = Math.min(random.between(1, 4), disk.durableCount - index);
          return count < 1 ? undefined : outgoing(index, count);
        }),
      firstSnapshot: () => this.#readLater(() => this.#world.oracle(this.partition).snapshots.keep(log.firstBase())),
    };
  }

  #readLater<Result>(read: () => Result): Promise<Result> {
    const later = new Later<Result>();
    this.#world.afterOf(this.#broker, this.#world.random.between(0, 3), () => {
      let result: Result;
      try {
        result = read();
      } catch (error) {
        later.reject(error);
        return;
      }
      later.resolve(result);
    });
    return later;
  }

  #onStopped(error: unknown): void {
    if (error instanceof Violation) throw error;
    const name = `broker ${this.#broker.node}`;
    if (error instanceof InvariantError) this.#world.violate(`${name} broke an invariant: ${error.message}`);
    this.#world.violate(`${name} stopped: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  }

  #note(input: ReplicaInput): void {
    const shown = JSON.stringify(input, (key, value: unknown) => {
      if (typeof value === 'bigint') return Number(value);
      if (key === 'batches')
        return (value as Batches).map(({ baseOffset, leaderEpoch }) => `${leaderEpoch}@${baseOffset}`);
      return key === 'batch' || key === 'previous' || key === 'request' || key === 'configs' ? undefined : value;
    });
    const { role, meta, logStart, highWatermark, durableEnd, logEnd } = this.state;
    const ends = `${logStart}..${highWatermark}..${durableEnd}..${logEnd}`;
    this.#world.trace?.note(
      `${this.#world.nowMs.toFixed(3)} b${this.#broker.node}/${this.partition} ${role.kind} p${meta.promisedEpoch} ${ends} <- ${shown}`,
    );
  }
}
