/** A broker: its disks, which outlive it, and the process on them, which may be killed, stopped and started again. */
import { REPLICA_TICK_MS } from '@partita/domain';
import { belongsTo } from '@partita/replication';
import type { ReplicaConfig, ReplicaIdentity, ReplicaInput } from '@partita/replication';
import type { Event } from './event-heap.ts';
import { identityOf } from './identities.ts';
import type { Node } from './network.ts';
import { Replica } from './replica.ts';
import { ReplicaDisk } from './replica-disk.ts';
import { BrokerSession } from './broker-session.ts';
import type { World } from './world.ts';
import { ReplicationLinks } from './replication-links.ts';

/** How a process ends: killed, or the whole machine with what its memory held. */
export type Crash = 'kill' | 'power cut';

/** The newest config known to be committed, and an epoch that knew it. */
export interface KeptFloor {
  readonly configFloor: number;
  readonly promisedEpoch: number;
}

export class Broker implements Node {
  readonly node: number;
  life = 0;
  isUp = false;
  isPaused = false;
  backlog: Event[] = [];
  wallOffsetMs = 1_000_000;
  slowUntilMs = 0;
  isFull = false;
  failsNextSync = false;
  /** Stays down, or stopped, for good. */
  isBarred = false;
  /** By partition; undefined = it has no replica. */
  readonly disks: (ReplicaDisk | undefined)[];
  replicas: Replica[] = [];
  /** By partition: what the journal keeps of replicas that were deleted here. */
  readonly floors = new Map<number, KeptFloor>();
  session: BrokerSession;
  #wipes = 0;
  #checkpointAtMs = 0;
  readonly links: ReplicationLinks;
  readonly #world: World;

  constructor(world: World, node: number, disks: readonly (ReplicaDisk | undefined)[]) {
    this.#world = world;
    this.node = node;
    this.disks = [...disks];
    this.links = new ReplicationLinks(world, this);
    this.session = new BrokerSession(world, this);
  }

  start(): void {
    if (this.isUp || this.isBarred) return;
    this.#world.trace?.note(`${this.#world.nowMs.toFixed(3)} b${this.node} starts`);
    this.isUp = true;
    this.life += 1;
    this.session = new BrokerSession(this.#world, this);
    this.replicas = this.disks.flatMap((disk, partition) =>
      disk === undefined ? [] : [new Replica(this.#world, this, partition, disk)],
    );
    this.#world.afterOf(this, this.#world.random.between(0, REPLICA_TICK_MS), () => this.#tick());
  }

  /** The process ends at once; what its disks keep is a matter of chance within what they promise. */
  crash(crash: Crash): void {
    if (!this.isUp) return;
    const { trace, nowMs } = this.#world;
    trace?.note(`${nowMs.toFixed(3)} b${this.node} ${crash}`);
    this.isUp = false;
    this.isPaused = false;
    this.life += 1;
    this.backlog = [];
    this.failsNextSync = false;
    for (const replica of this.replicas) {
      if (replica.leaderRole !== undefined && replica.hasChangeUnderWay)
        this.#world.tally.add('seen: leader crashed while a change was uncommitted');
      replica.settleJournal();
      replica.log.settleChange();
      this.#loseUnsynced(replica.disk, crash, replica.partition);
    }
    this.replicas = [];
    this.links.reset();
    this.session.broken();
  }

  /** After a failed disk the process has a moment left before it ends. */
  dieSoon(): void {
    const { random } = this.#world;
    this.#world.afterOf(this, random.between(0, 40), () => {
      this.crash('kill');
      this.startLater(random.between(100, 1500));
    });
  }

  /** A crash is worth most while an epoch begins: what the journal says and what the log holds are apart then. */
  leadsNow(): void {
    const { random, plan, network } = this.#world;
    if (network.isCalm || !random.chance(plan.killsNewLeaders)) return;
    this.#world.afterOf(this, random.between(0, 6), () => {
      if (network.isCalm) return;
      this.crash(random.pick(['kill', 'power cut']));
      this.startLater(random.between(1, 60));
    });
  }

  startLater(delayMs: number): void {
    this.#world.after(delayMs, () => this.start());
  }

  pause(): void {
    if (this.isUp) this.isPaused = true;
  }

  resume(): void {
    if (!this.isPaused || this.isBarred) return;
    this.isPaused = false;
    const { backlog } = this;
    this.backlog = [];
    this.#world.catchUp(this, backlog);
  }

  /** The directory is lost: what comes back under the broker's id is no member of anything. */
  wipe(): void {
    this.crash('power cut');
    this.#wipes += 1;
    this.floors.clear();
    this.disks.forEach((disk, partition) => {
      if (disk === undefined) return;
      this.#world.oracle(partition).wiped(disk);
      // Where sets change, whoever sees that it is gone replaces it.
      const isReplaced = this.#world.plan.changes !== undefined;
      this.disks[partition] = isReplaced
        ? undefined
        : new ReplicaDisk(identityOf(this.node, partition, this.#wipes), disk.config);
    });
  }

  get directoryId(): string {
    return identityOf(this.node, 0, this.#wipes).directoryId;
  }

  /** The running replica of the partition, if it has one. */
  replica(partition: number): Replica | undefined {
    return this.replicas.find((replica) => replica.partition === partition);
  }

  /**
   * Makes a replica, as the committed config says. The order may be late or repeated: what was deleted under a newer config
   * does not come back, nor does what was on a disk that is gone.
   */
  make(partition: number, identity: ReplicaIdentity, config: ReplicaConfig, epoch: number): void {
    const isLate = config.version <= (this.floors.get(partition)?.configFloor ?? 0);
    if (!this.isUp || isLate || identity.directoryId !== this.directoryId) return;
    if (this.disks[partition] !== undefined) return;
    const disk = new ReplicaDisk(identity, config);
    // What it knows is of this epoch: it must not tell it to a leader of one before.
    disk.meta = { ...disk.meta, promisedEpoch: epoch };
    this.disks[partition] = disk;
    const { tally } = this.#world;
    tally.add('replicas made');
    if (this.floors.has(partition)) tally.add('seen: replica deleted and made again');
    this.#world.oracle(partition).made(disk);
    this.replicas.push(new Replica(this.#world, this, partition, disk));
  }

  /**
   * Deletes a replica that the committed config no longer has; refused when it knows of a newer one that does. `epoch` is
   * that of a leader who knew it: no election below it may go by that knowledge.
   */
  delete(partition: number, replicaId: string, without: ReplicaConfig, epoch: number): void {
    const disk = this.disks[partition];
    if (!this.isUp || disk?.identity.replicaId !== replicaId) return;
    const isWanted = disk.configs.some((config) => config.version > without.version && belongsTo(config, replicaId));
    if (isWanted) return;
    const kept = this.floors.get(partition);
    this.floors.set(partition, {
      configFloor: Math.max(without.version, disk.meta.configFloor, kept?.configFloor ?? 0),
      promisedEpoch: Math.max(epoch, disk.meta.promisedEpoch, kept?.promisedEpoch ?? 0),
    });
    const replica = this.replica(partition);
    replica?.close();
    this.replicas = this.replicas.filter((other) => other !== replica);
    this.disks[partition] = undefined;
    this.#world.oracle(partition).wiped(disk);
    this.#world.tally.add('replicas deleted');
  }

  feed(partition: number, input: ReplicaInput): void {
    this.replica(partition)?.feed(input);
  }

  pump(partition: number): void {
    for (const { sender } of this.replica(partition)?.senders.values() ?? []) sender.pump();
  }

  #loseUnsynced(disk: ReplicaDisk, crash: Crash, partition: number): void {
    const { random, oracles } = this.#world;
    const isPageCache = disk.config.flush === 'os';
    const least = crash === 'power cut' ? disk.safeCount : disk.durableCount;
    const kept = random.between(least, disk.batches.length);
    if (kept < disk.durableCount) {
      for (const batch of disk.batches.slice(kept, disk.durableCount)) disk.lost.add(batch);
      this.#world.tally.add('durable records lost in power cuts');
    }
    disk.keep(kept);
    // The rule of recovery: the page cache may have held what was acknowledged.
    if (isPageCache && crash === 'power cut') disk.meta = { ...disk.meta, suspect: true };
    oracles[partition]?.journals(disk, disk.meta);
    if (disk.checkpoint > disk.end) disk.checkpoint = disk.end;
  }

  #tick(): void {
    const { nowMs } = this.#world;
    this.#world.afterOf(this, REPLICA_TICK_MS, () => this.#tick());
    this.links.listen();
    for (const replica of this.replicas) {
      replica.feed({ kind: 'expire', nowMs });
      for (const [brokerId, { sender }] of replica.senders) {
        if (sender.isCurrent) sender.tell();
        else replica.senders.delete(brokerId);
      }
      const told = this.session.leaderOf(replica.partition);
      if (told !== undefined) replica.feed({ kind: 'follow', ...told });
    }
    if (nowMs >= this.#checkpointAtMs) {
      this.#checkpointAtMs = nowMs + 1000;
      for (const replica of this.replicas) replica.disk.checkpoint = replica.state.highWatermark;
    }
    this.session.tick();
  }
}
