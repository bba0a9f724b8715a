/** A process of a consumer: works on records at least once and commits afterwards, also when it should know better. */
import { partitionKey } from '@partita/domain';
import type { PartitaError, TopicPartition } from '@partita/domain';
import { ASSIGNORS } from '@partita/groups';
import type { OffsetCommit } from '@partita/groups';
import type { Actor, Event } from '../core/event-heap.ts';
import { Stream } from './stream.ts';
import { PATTERNS, TOPIC_NAMES } from './topics.ts';
import type { World } from './world.ts';

/** What a member is told that it holds. */
export interface Told {
  readonly epoch: number;
  readonly partitions: readonly {
    readonly partition: TopicPartition;
    readonly assignmentEpoch: number;
    readonly revoking: boolean;
    readonly start: number;
  }[];
}

/** A position that a member sends. */
export interface Commit {
  readonly partition: TopicPartition;
  readonly nextOffset: number;
  readonly epoch: number;
  /** Term under which the records were delivered. */
  readonly assignmentEpoch: number;
  /** Who worked on them. */
  readonly process: string;
}

interface Holding {
  readonly partition: TopicPartition;
  readonly assignmentEpoch: number;
  /** Next to deliver. */
  position: number;
  /** Everything below has been worked on. */
  done: number;
  acked: number;
  sentAtMs: number;
  isBusy: boolean;
  isStopped: boolean;
}

const HEARTBEAT_MS = 200;
const ANSWER_MS = 500;
const RESEND_MS = 250;

export class MemberProcess implements Actor {
  readonly index: number;
  readonly group: string;
  readonly instanceId: string;
  readonly #world: World;
  life = 0;
  isPaused = false;
  backlog: Event[] = [];
  /** Gone = another process has its name. */
  phase: 'away' | 'joining' | 'member' | 'gone' = 'away';
  stream: Stream | undefined;
  #memberId = '';
  #epoch = 0;
  #nonce = '';
  #topics: readonly string[] = [];
  #pattern = '';
  #assignor = '';
  #heardMs = 0;
  readonly #holdings = new Map<string, Holding>();

  constructor(world: World, index: number, group: string, instanceId?: string) {
    this.#world = world;
    this.index = index;
    this.group = group;
    const isStatic = world.random.chance(world.plan.staticShare);
    this.instanceId = instanceId ?? (isStatic ? world.freshId('static') : '');
  }

  /** Name of the process, another one with each start. */
  get process(): string {
    return this.#nonce;
  }

  /** A new process: it knows nothing. */
  start(): void {
    const world = this.#world;
    this.life += 1;
    this.#memberId = '';
    this.#nonce = world.freshId('p');
    this.#holdings.clear();
    this.#assignor = world.random.chance(0.5) ? '' : world.random.pick(ASSIGNORS);
    this.#drawSubscription();
    this.#connect();
    this.#heartbeat();
    this.#consumeLater();
  }

  crash(): void {
    this.life += 1;
    this.isPaused = false;
    this.backlog = [];
    this.stream = undefined;
    if (this.phase !== 'gone') this.phase = 'away';
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    if (!this.isPaused) return;
    this.isPaused = false;
    const { backlog } = this;
    this.backlog = [];
    this.#world.catchUp(this, backlog);
  }

  leave(): void {
    const { stream, group } = this;
    if (this.phase !== 'member' || stream === undefined) return;
    const commits = [...this.#holdings.values()].map((holding) => this.#commitOf(holding));
    const memberId = this.#memberId;
    stream.up(() => {
      const offsets = stream.node.serving?.offsets(memberId, commits) ?? [];
      const { wallMs } = this.#world;
      stream.node.submit({ kind: 'leave', group, memberId, commits: offsets, wallMs }, () => undefined);
    });
    this.crash();
  }

  subscribe(): void {
    const { stream, group } = this;
    this.#drawSubscription();
    if (this.phase !== 'member' || stream === undefined) return;
    const command = { kind: 'subscribe' as const, group, memberId: this.#memberId };
    const wanted = { topics: this.#topics, topicPattern: this.#pattern };
    stream.up(() => stream.node.submit({ ...command, ...wanted }, () => undefined));
  }

  onAlive(): void {
    this.#heardMs = this.#world.nowMs;
  }

  onJoined(memberId: string): void {
    this.phase = 'member';
    this.#memberId = memberId;
    this.onAlive();
  }

  onRefused(reason: string): void {
    this.#world.note(() => `process ${this.index} is refused: ${reason}`);
    if (reason === 'STALE_GENERATION' || reason === 'MEMBER_NOT_FOUND') this.#forget();
    this.#reconnect();
  }

  onEnd(error: PartitaError | undefined): void {
    if (error?.reason === 'FENCED_INSTANCE') {
      this.#world.see('static member replaced');
      this.phase = 'gone';
      this.stream = undefined;
      return;
    }
    if (error?.reason === 'STALE_GENERATION') this.#forget();
    this.#reconnect();
  }

  onAssignment({ epoch, partitions }: Told): void {
    this.#epoch = epoch;
    const told = new Set<string>();
    const released: (TopicPartition & { readonly assignmentEpoch: number })[] = [];
    const commits: Commit[] = [];
    for (const { partition, assignmentEpoch, revoking, start } of partitions) {
      const key = partitionKey(partition);
      told.add(key);
      const known = this.#holdings.get(key);
      const isKnown = known?.assignmentEpoch === assignmentEpoch;
      if (revoking) {
        if (isKnown && known.done > known.acked) commits.push(this.#commitOf(known));
        // An owner that was overtaken may still tell of an earlier term; the later one goes on.
        if (known !== undefined && known.assignmentEpoch <= assignmentEpoch) known.isStopped = true;
        released.push({ ...partition, assignmentEpoch });
        this.#world.oracle.onStopped(this.#memberId, key, assignmentEpoch);
      } else if (!isKnown) {
        // What is still worked on belongs to the term before, and is not committed under this one.
        if (known !== undefined) {
          known.isStopped = true;
          this.#world.see('partition given to its holder anew');
        }
        const place = { partition, assignmentEpoch, position: start, done: start, acked: start };
        this.#holdings.set(key, { ...place, sentAtMs: 0, isBusy: false, isStopped: false });
      }
    }
    for (const [key, holding] of this.#holdings) {
      if (told.has(key)) continue;
      holding.isStopped = true;
      this.#holdings.delete(key);
    }
    if (released.length > 0) this.#release(released, commits);
  }

  /** Answers of a commit: what holds. */
  onCommitted(commits: readonly Commit[], taken: readonly OffsetCommit[]): void {
    for (const commit of taken) this.#world.oracle.onCommitAcknowledged(this.group, commit);
    if (taken.length < commits.length) this.#world.see('commit refused');
    const held = new Set(taken.map(({ partition }) => partitionKey(partition)));
    for (const { partition, nextOffset, assignmentEpoch } of commits) {
      const key = partitionKey(partition);
      const holding = this.#holdings.get(key);
      // An answer to a commit of an earlier term says nothing of this one: a reset may lie between them.
      if (holding?.assignmentEpoch !== assignmentEpoch || !held.has(key)) continue;
      holding.acked = Math.max(holding.acked, nextOffset);
    }
  }

  #connect(): void {
    const world = this.#world;
    this.phase = 'joining';
    const node = world.random.chance(world.isCalm ? 1 : 0.8) ? world.assigned : world.random.pick(world.nodes);
    const stream = new Stream(world, this, node);
    this.stream = stream;
    const request = {
      group: this.group,
      memberId: this.#memberId,
      memberEpoch: world.random.chance(0.3) ? 0 : this.#epoch,
      instanceId: this.instanceId,
      clientId: this.#nonce,
      peer: '',
      topics: this.#topics,
      topicPattern: this.#pattern,
      sessionTimeoutMs: world.plan.sessionMs,
      rebalanceTimeoutMs: world.plan.rebalanceMs,
      rack: this.index % 2 === 0 ? 'east' : 'west',
      capacity: 1 + (this.index % 2),
      assignor: this.#assignor,
    };
    stream.up(() => {
      const sessions = node.serving;
      if (sessions === undefined) stream.down(() => this.onRefused('GROUP_LOADING'));
      else sessions.join(stream, request);
    });
    world.afterOf(this, ANSWER_MS, () => {
      if (this.stream === stream && this.phase === 'joining') this.#connect();
    });
  }

  #reconnect(): void {
    this.phase = 'joining';
    this.stream = undefined;
    this.#world.afterOf(this, 20 + this.#world.random.below(80), () => {
      if (this.phase === 'joining' && this.stream === undefined) this.#connect();
    });
  }

  #forget(): void {
    this.#memberId = '';
    this.#epoch = 0;
    for (const holding of this.#holdings.values()) holding.isStopped = true;
    this.#holdings.clear();
  }

  #heartbeat(): void {
    const world = this.#world;
    world.afterOf(this, HEARTBEAT_MS, () => {
      if (this.phase === 'gone') return;
      const { stream } = this;
      const memberId = this.#memberId;
      if (this.phase === 'member' && stream !== undefined) {
        if (world.nowMs - this.#heardMs > world.plan.sessionMs) this.#reconnect();
        else stream.up(() => stream.node.serving?.heard(memberId));
      }
      this.#heartbeat();
    });
  }

  #consumeLater(): void {
    this.#world.afterOf(this, this.#world.plan.consumeEveryMs, () => {
      if (this.phase === 'gone') return;
      for (const holding of this.#holdings.values()) this.#consume(holding);
      this.#consumeLater();
    });
  }

  #consume(holding: Holding): void {
    const world = this.#world;
    const { partition } = holding;
    if (holding.isStopped || holding.isBusy) return;
    if (holding.done > holding.acked && world.nowMs - holding.sentAtMs > RESEND_MS) this.#commit(holding);
    const end = world.topics.endOf(partition.topicId, partition.partition) ?? 0;
    if (holding.position >= end) return;
    const from = holding.position;
    const to = Math.min(end, from + 1 + world.random.below(world.isCalm ? 50 : 5));
    world.oracle.onDelivered(this.group, partitionKey(partition), from, to);
    holding.position = to;
    holding.isBusy = true;
    world.afterOf(this, 1 + world.random.below(world.plan.workMsMax), () => {
      holding.isBusy = false;
      if (holding.isStopped) return;
      holding.done = to;
      if (world.random.chance(world.plan.commitShare)) this.#commit(holding);
    });
  }

  #commit(holding: Holding): void {
    const { stream, group } = this;
    if (stream === undefined) return;
    holding.sentAtMs = this.#world.nowMs;
    const memberId = this.#memberId;
    const commits = [this.#commitOf(holding)];
    stream.up(() => stream.node.serving?.commit(stream, group, memberId, commits));
  }

  #commitOf({ partition, done, assignmentEpoch }: Holding): Commit {
    // Any epoch from the assignment's on is right; the member's own is told with every assignment.
    const epoch = this.#world.random.chance(0.5) ? assignmentEpoch : Math.max(assignmentEpoch, this.#epoch);
    return { partition, nextOffset: done, epoch, assignmentEpoch, process: this.#nonce };
  }

  #release(
    partitions: readonly (TopicPartition & { readonly assignmentEpoch: number })[],
    commits: readonly Commit[],
  ): void {
    const { stream, group } = this;
    const memberId = this.#memberId;
    stream?.up(() => stream.node.serving?.release(stream, { group, memberId, partitions }, commits));
  }

  #drawSubscription(): void {
    const { random } = this.#world;
    this.#topics = TOPIC_NAMES.filter(() => random.chance(0.6));
    this.#pattern = random.pick(PATTERNS);
  }
}
