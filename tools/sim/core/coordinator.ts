/**
 * A coordinator: the production state of the cluster, fed by sessions of brokers, and elections wherever a leader is missing.
 * Its lease only keeps two of them apart, and a seed may let both order.
 */
import {
  checkBrokerId,
  ClusterState,
  LEASE_RENEW_MS,
  LeaseState,
  mergeInventory,
  mergeStoredPartition,
  registerBroker,
  reportInSync,
  reportReplicas,
  resignedLeaders,
  reviseLeaders,
  setBrokerStatus,
} from '@partita/cluster';
import type { BrokerRegistration, ClusterPartition, ClusterRecord, ReplicaIdentity } from '@partita/cluster';
import { PartitaError, RECONCILE_MS, SESSION_SILENCE_MS_MAX } from '@partita/domain';
import type { ReplicaConfig } from '@partita/replication';
import type { Heartbeat } from './broker-session.ts';
import { Elections } from './elections.ts';
import type { RivalElection } from './elections.ts';
import type { Event } from './event-heap.ts';
import { configOf, TOPIC_ID } from './identities.ts';
import type { Node } from './network.ts';
import type { World } from './world.ts';

interface Session {
  readonly life: number;
  lastNumber: number;
  heardMs: number;
}

export class Coordinator implements Node {
  readonly node: number;
  life = 0;
  isUp = false;
  isPaused = false;
  backlog: Event[] = [];
  state = new ClusterState();
  #lease = new LeaseState();
  #elections: Elections;
  /** By broker id. */
  readonly #sessions = new Map<number, Session>();
  /** Since when leaders say that they do not lead; one report may have crossed an election. */
  readonly #doubted = new Map<string, number>();
  #renewAtMs = 0;
  readonly #world: World;
  readonly #configs: readonly ReplicaConfig[];

  constructor(world: World, node: number, configs: readonly ReplicaConfig[]) {
    this.#world = world;
    this.node = node;
    this.#configs = configs;
    this.#elections = new Elections(world, this);
  }

  /** It remembers nothing of its last life. */
  start(): void {
    if (this.isUp) return;
    this.isUp = true;
    this.life += 1;
    this.state = new ClusterState();
    this.#lease = new LeaseState();
    this.#elections = new Elections(this.#world, this);
    this.#sessions.clear();
    this.#doubted.clear();
    this.#renewAtMs = 0;
    this.#knowTopic();
    this.#readDirectory();
    this.#world.afterOf(this, this.#world.random.between(0, RECONCILE_MS), () => this.#tick());
  }

  crash(): void {
    this.isUp = false;
    this.isPaused = false;
    this.life += 1;
    this.backlog = [];
  }

  pause(): void {
    if (this.isUp) this.isPaused = true;
  }

  resume(): void {
    if (!this.isPaused) return;
    this.isPaused = false;
    const { backlog } = this;
    this.backlog = [];
    this.#world.catchUp(this, backlog);
  }

  mayOrder(): boolean {
    return this.#world.plan.isDuel || this.#lease.status(this.#world.nowMs) !== 'standby';
  }

  apply(records: readonly ClusterRecord[]): void {
    if (records.length === 0) return;
    const before = this.#configs.map((_, partition) => this.state.partition(TOPIC_ID, partition));
    for (const record of records) this.state.apply(record);
    before.forEach((known, partition) => {
      const now = this.state.partition(TOPIC_ID, partition);
      if (now === undefined || now === known) return;
      if (now.epoch !== known?.epoch || now.inSyncVersion !== known.inSyncVersion) this.#publish(now);
      if (now.live && now.epoch !== known?.epoch) this.#tellAll(now);
    });
    this.#elections.run();
  }

  hears(heartbeat: Heartbeat): void {
    const { brokerId, life, number, reports } = heartbeat;
    const session = this.#sessions.get(brokerId);
    if (session !== undefined && (life < session.life || (life === session.life && number <= session.lastNumber)))
      return;
    if (session?.life === life && this.state.broker(brokerId)?.facts.status === 'up') {
      session.lastNumber = number;
      session.heardMs = this.#world.nowMs;
      // All that it has: what is missing was deleted.
      if (this.#world.plan.changes !== undefined)
        this.apply([{ type: 'replicas_reported', brokerId, replicas: reports, complete: true }]);
      this.apply(reportReplicas(this.state, brokerId, reports));
      this.apply(reviseLeaders(this.state, reports));
      this.#doubt(brokerId);
    } else if (!this.#register(heartbeat)) return;
    this.apply(reportInSync(this.state, brokerId, heartbeat.inSync));
    this.#answer(heartbeat);
  }

  /** The broker's connection was reset. */
  lost(brokerId: number, life: number): void {
    const session = this.#sessions.get(brokerId);
    if (session === undefined || session.life > life) return;
    this.#lose(brokerId);
  }

  /** Elects though there may be a leader: another coordinator may be wrong about that at any time. */
  holdElection(partition: number, rival: RivalElection): void {
    if (this.isUp && !this.isPaused) this.#elections.rival(partition, rival);
  }

  /** `isHasty`: elects whatever the leader says of the successor. */
  moveLeader(partition: number, successor: ReplicaIdentity, isHasty: boolean): void {
    if (this.isUp && !this.isPaused && this.mayOrder()) this.#elections.move(partition, successor, isHasty);
  }

  /** An operator's word. */
  forceLeader(partition: number, target: ReplicaIdentity): void {
    this.#elections.force(partition, target);
  }

  #register({ brokerId, life, number, directoryId, reports }: Heartbeat): boolean {
    const registration: BrokerRegistration = {
      brokerId,
      directoryId,
      incarnation: BigInt(life),
      address: '',
      peerAddress: '',
      rack: '',
      version: '',
      replicas: reports,
      topics: [],
      tombstones: [],
      knownBrokerIds: [],
    };
    try {
      checkBrokerId(this.state, registration);
    } catch (error) {
      if (error instanceof PartitaError) return false;
      throw error;
    }
    this.#sessions.set(brokerId, { life, lastNumber: number, heardMs: this.#world.nowMs });
    for (const record of registerBroker(this.state, registration, this.#world.nowMs)) this.state.apply(record);
    const merged: ClusterRecord[] = [];
    mergeInventory(this.state, registration, (record) => {
      merged.push(record);
      this.apply([record]);
    });
    this.apply(reviseLeaders(this.state));
    if (merged.length === 0) this.#elections.run();
    return true;
  }

  /** What it led may still be led: its followers know. */
  #lose(brokerId: number): void {
    this.apply(setBrokerStatus(this.state, brokerId, 'down', this.#world.nowMs));
    this.apply(reviseLeaders(this.state));
  }

  #doubt(brokerId: number): void {
    const { nowMs } = this.#world;
    const resigned = resignedLeaders(this.state, brokerId);
    for (const key of [...this.#doubted.keys()]) {
      const isStill = resigned.some(({ partition, epoch }) => key === doubtKey(brokerId, partition, epoch));
      if (key.startsWith(`${brokerId}/`) && !isStill) this.#doubted.delete(key);
    }
    for (const { topicId, partition, epoch } of resigned) {
      const key = doubtKey(brokerId, partition, epoch);
      const sinceMs = this.#doubted.get(key) ?? nowMs;
      this.#doubted.set(key, sinceMs);
      if (nowMs - sinceMs > SESSION_SILENCE_MS_MAX) this.apply([{ type: 'leader_lost', topicId, partition }]);
    }
  }

  /** Tells the broker what it has not heard. */
  #answer({ brokerId, toldEpochs }: Heartbeat): void {
    toldEpochs.forEach((epoch, partition) => {
      const known = this.state.partition(TOPIC_ID, partition);
      if (known?.live === true && known.epoch > epoch) this.#tell(brokerId, known);
    });
  }

  #tellAll(known: ClusterPartition): void {
    for (const brokerId of this.#sessions.keys()) this.#tell(brokerId, known);
  }

  #tell(brokerId: number, { partition, epoch, leader }: ClusterPartition): void {
    const broker = this.#world.broker(brokerId);
    this.#world.network.send(this.node, broker, () => broker.session.tell(partition, { epoch, leaderId: leader }));
  }

  #tick(): void {
    const { nowMs } = this.#world;
    this.#world.afterOf(this, RECONCILE_MS, () => this.#tick());
    for (const [brokerId, { heardMs }] of this.#sessions) {
      if (nowMs - heardMs > SESSION_SILENCE_MS_MAX) this.#lose(brokerId);
    }
    if (nowMs >= this.#renewAtMs) this.#renew();
    this.#elections.run();
  }

  #renew(): void {
    const { directory, nowMs, random } = this.#world;
    this.#renewAtMs = nowMs + LEASE_RENEW_MS;
    if (directory.isAway) {
      this.#lease.storeSilent(nowMs);
      return;
    }
    const run = `${this.node}-${this.life}`;
    const number = directory.acquire(run);
    if (random.chance(0.05)) this.#lease.storeSilent(nowMs);
    else if (number === undefined) this.#lease.heldByOther({ run: 'other', url: '' });
    else this.#lease.held(number, nowMs);
    this.#readDirectory();
  }

  #publish({ partition, epoch, leader, inSync, inSyncVersion }: ClusterPartition): void {
    const { directory } = this.#world;
    if (directory.isAway || !this.mayOrder() || epoch === 0) return;
    const run = `${this.node}-${this.life}`;
    directory.publish(run, this.#lease.tokenNumber, partition, { epoch, leader, inSync, inSyncVersion });
  }

  #readDirectory(): void {
    const { directory } = this.#world;
    if (directory.isAway) return;
    for (const [partition, entry] of directory.entries) {
      const config = this.state.partition(TOPIC_ID, partition)?.config;
      if (config === undefined) continue;
      this.apply(mergeStoredPartition(this.state, { topicId: TOPIC_ID, partition, config, lossy: false, ...entry }));
    }
  }

  #knowTopic(): void {
    const share = 2 ** 32 / this.#configs.length;
    this.state.apply({
      type: 'topic_put',
      name: 'topic',
      life: 'active',
      definition: {
        topicId: TOPIC_ID,
        name: 'topic',
        version: 1n,
        ranges: this.#configs.map((_, index) => ({ hashMin: index * share, hashMax: (index + 1) * share - 1 })),
        replicationFactor: this.#world.plan.brokerCount,
        settings: {},
        createTimeMs: 0,
        requestId: '',
      },
    });
    this.#configs.forEach((config, partition) =>
      this.state.apply({ type: 'config_learned', topicId: TOPIC_ID, partition, config: configOf(config) }),
    );
  }
}

function doubtKey(brokerId: number, partition: number, epoch: number): string {
  return `${brokerId}/${partition}/${epoch}`;
}
