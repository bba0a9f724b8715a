/**
 * Brokers and one partition as simple as can be: orders are carried out at once, followers have everything at once, and a leader
 * takes only what PROTOCOL.md allows. What plans say is held against that.
 */
import { invariant } from '@partita/domain';
import { ClusterState } from '../cluster-state.ts';
import { sameReplica } from '../inventory.ts';
import type { ReplicaConfig, ReplicaIdentity } from '../inventory.ts';
import { evenKeyRanges } from '../topics/key-ranges.ts';
import { electionQuorum } from '../partition-status.ts';
import type { Move } from '../replica-sets/reassignment.ts';
import { createReassignment, settleReassignments } from '../replica-sets/reassignment-commands.ts';
import type { ClusterRecord } from '../records.ts';
import { planReplicaChange } from '../replica-sets/replica-change.ts';
import type { ReplicaStep } from '../replica-sets/replica-change.ts';
import { registerBroker, setBrokerStatus } from '../session-commands.ts';
import { settingsInForce } from '../topics/topic-settings.ts';
import type { TopicSettings } from '../topics/topic-settings.ts';
import { wantedReplicas } from '../replica-sets/wanted-replicas.ts';

export const MODEL_TOPIC = 'topic';

interface Disk {
  directoryId: string;
  incarnation: bigint;
  replicaId: string | undefined;
}

export class ReplicaSetModel {
  readonly state = new ClusterState();
  readonly #disks = new Map<number, Disk>();
  readonly #racks: ReadonlyMap<number, string>;
  #fresh = 0;
  #version = 0n;

  constructor(
    brokerCount: number,
    members: readonly number[],
    minInSyncReplicas?: number,
    rackOf = (id: number) => `r${id}`,
  ) {
    const ids = [...Array(brokerCount).keys()].map((index) => index + 1);
    this.#racks = new Map(ids.map((id) => [id, rackOf(id)]));
    const replicationFactor = members.length;
    const settings = { minInSyncReplicas };
    this.define(replicationFactor, settings);
    for (const id of ids) this.#disks.set(id, { directoryId: `dir ${id}`, incarnation: 0n, replicaId: undefined });
    for (const id of members) this.disk(id).replicaId = `first ${id}`;
    const replicas = members.map((id) => this.identityOn(id));
    const { minInSyncReplicas: m } = settingsInForce(settings, replicationFactor);
    this.#learn({ configVersion: 1, replicas, learners: [], minInSyncReplicas: m, flush: 'fsync' });
    for (const id of ids) this.start(id);
    this.#elect();
  }

  get config(): ReplicaConfig {
    const { config } = this.#partition();
    invariant(config !== undefined, 'the model gives a set at its start');
    return config;
  }

  get leader(): number {
    const { live, leader } = this.#partition();
    return live ? leader : 0;
  }

  members(): number[] {
    return this.config.replicas.map(({ brokerId }) => brokerId);
  }

  /** Members whose disk has their replica, up or not. */
  countingMembers(): ReplicaIdentity[] {
    return this.config.replicas.filter((member) => sameReplica(member, this.identityOn(member.brokerId)));
  }

  /** Brokers with a replica on disk. */
  holders(): number[] {
    return [...this.#disks].flatMap(([id, { replicaId }]) => (replicaId === undefined ? [] : [id]));
  }

  isUp(brokerId: number): boolean {
    return this.state.broker(brokerId)?.facts.status === 'up';
  }

  define(replicationFactor: number, settings: TopicSettings = {}): void {
    this.#version += 1n;
    const ranges = evenKeyRanges(1);
    const own = {
      topicId: MODEL_TOPIC,
      name: 'orders',
      version: this.#version,
      ranges,
      createTimeMs: 1,
      requestId: '',
    };
    const definition = { ...own, replicationFactor, settings };
    this.#apply([{ type: 'topic_put', definition, name: 'orders', life: 'active' }]);
  }

  move(...moves: Pick<Move, 'fromBrokerId' | 'toBrokerId'>[]): string {
    const { records, response } = createReassignment(this.state, {
      moves: moves.map((move) => ({ topicId: MODEL_TOPIC, partition: 0, ...move })),
      reason: 'operator',
      requestId: '',
      nowMs: 0,
      newId: () => `reassignment ${(this.#fresh += 1)}`,
    });
    this.#apply(records);
    return response.reassignment.reassignmentId;
  }

  start(brokerId: number): void {
    const disk = this.disk(brokerId);
    disk.incarnation += 1n;
    const { directoryId, incarnation } = disk;
    const facts = {
      brokerId,
      directoryId,
      incarnation,
      address: '',
      peerAddress: '',
      rack: this.#racks.get(brokerId) ?? '',
    };
    const rest = { version: '', replicas: [], topics: [], tombstones: [], knownBrokerIds: [] };
    this.#apply(registerBroker(this.state, { ...facts, ...rest }, 0));
    this.#report();
    this.#elect();
  }

  stop(brokerId: number): void {
    this.#apply(setBrokerStatus(this.state, brokerId, 'down', 0));
    this.#elect();
  }

  /** Starts it again with an empty disk. */
  wipe(brokerId: number): void {
    this.stop(brokerId);
    this.#disks.set(brokerId, { directoryId: `dir ${(this.#fresh += 1)}`, incarnation: 0n, replicaId: undefined });
    this.start(brokerId);
  }

  plan(): ReplicaStep {
    this.#apply(settleReassignments(this.state));
    const wanted = wantedReplicas(this.state, MODEL_TOPIC, 0, 0);
    invariant(wanted !== undefined, 'the model has its topic');
    return planReplicaChange(this.state, MODEL_TOPIC, 0, wanted, () => `fresh ${(this.#fresh += 1)}`);
  }

  /** Does what the plan says next. Throws when a leader or broker would refuse it. */
  step(): ReplicaStep {
    const step = this.plan();
    if (step.kind === 'propose') this.#propose(step.config);
    if (step.kind === 'make') this.#make(step.replica);
    if (step.kind === 'delete') this.#delete(step.brokerId, step.replicaId);
    if (step.kind === 'move-leader') this.#elect(step.brokerIds);
    this.#report();
    this.#apply(settleReassignments(this.state));
    return step;
  }

  /** The kinds of the steps until nothing is left. */
  settle(): string[] {
    const kinds: string[] = [];
    for (let count = 0; count < 80; count += 1) {
      const step = this.step();
      kinds.push(step.kind);
      if (step.kind === 'done') return kinds;
      if (step.kind === 'wait') throw new Error(`waits: ${step.why} after ${kinds.join(' ')}`);
    }
    throw new Error(`no end: ${kinds.join(' ')}`);
  }

  disk(brokerId: number): Disk {
    const disk = this.#disks.get(brokerId);
    invariant(disk !== undefined, `the model has no broker ${brokerId}`);
    return disk;
  }

  identityOn(brokerId: number): ReplicaIdentity {
    const { directoryId, replicaId = '' } = this.disk(brokerId);
    return { brokerId, directoryId, replicaId };
  }

  #partition() {
    const known = this.state.partition(MODEL_TOPIC, 0);
    invariant(known !== undefined, 'the model has its partition');
    return known;
  }

  /** What a leader takes, and what commits: m of the old set and m of the new one have to hold it. */
  #propose(config: ReplicaConfig): void {
    const before = this.config;
    const { leader } = this;
    invariant(leader !== 0, 'a set is proposed to nobody');
    invariant(config.configVersion === before.configVersion + 1, 'one change at a time');
    const isIn = (replica: ReplicaIdentity, set: readonly ReplicaIdentity[]) =>
      set.some((other) => sameReplica(other, replica));
    const gone = before.replicas.filter((replica) => !isIn(replica, config.replicas));
    const added = config.replicas.filter((replica) => !isIn(replica, before.replicas));
    invariant(gone.length + added.length <= 1, 'one member at a time');
    invariant(
      gone.every(({ brokerId }) => brokerId !== leader),
      'the leader is moved first',
    );
    invariant(
      added.every((replica) => isIn(replica, before.learners) && this.#isUpWith(replica)),
      'only a learner is added',
    );
    for (const set of [before, config]) {
      const holding = set.replicas.filter((replica) => this.#isUpWith(replica)).length;
      if (holding < set.minInSyncReplicas) return;
    }
    this.#learn(config);
  }

  #isUpWith(replica: ReplicaIdentity): boolean {
    return this.isUp(replica.brokerId) && sameReplica(replica, this.identityOn(replica.brokerId));
  }

  #make({ brokerId, directoryId, replicaId }: ReplicaIdentity): void {
    const disk = this.disk(brokerId);
    invariant(disk.directoryId === directoryId, 'a replica is made in another directory');
    invariant(disk.replicaId === undefined, `broker ${brokerId} has a replica already`);
    disk.replicaId = replicaId;
  }

  #delete(brokerId: number, replicaId: string): void {
    const disk = this.disk(brokerId);
    invariant(disk.replicaId === replicaId, 'another replica is deleted');
    const everybody = [...this.config.replicas, ...this.config.learners];
    invariant(!everybody.some((replica) => sameReplica(replica, this.identityOn(brokerId))), 'a member is deleted');
    disk.replicaId = undefined;
    this.#apply([{ type: 'replica_deleted', brokerId, topicId: MODEL_TOPIC, partition: 0 }]);
  }

  /** Keeps a leader that may lead, unless others are wanted; none when too few can promise. */
  #elect(wanted?: readonly number[]): void {
    const { replicas, minInSyncReplicas } = this.config;
    const able = replicas.filter((replica) => this.#isUpWith(replica)).map(({ brokerId }) => brokerId);
    const at = { topicId: MODEL_TOPIC, partition: 0 };
    if (wanted === undefined && able.includes(this.leader)) return;
    if (able.length < electionQuorum(replicas.length, minInSyncReplicas)) {
      this.#apply([{ type: 'leader_lost', ...at }]);
      return;
    }
    const leader = able.find((id) => wanted?.includes(id)) ?? able[0] ?? 0;
    const epoch = this.#partition().epoch + 1;
    this.#apply([{ type: 'leader_known', ...at, epoch, leader, inSync: able, inSyncVersion: 0, live: true }]);
    this.#report();
  }

  #learn(config: ReplicaConfig): void {
    this.#apply([{ type: 'config_learned', topicId: MODEL_TOPIC, partition: 0, config }]);
  }

  #report(): void {
    for (const [brokerId, { replicaId }] of this.#disks) {
      if (replicaId === undefined || !this.isUp(brokerId)) continue;
      const { epoch, configFloor } = { epoch: this.#partition().epoch, configFloor: this.config.configVersion };
      const ends = { logEndOffset: 10n, highWatermark: 10n, logStartOffset: 0n, logBytes: 10n, suspect: false };
      const leading = this.leader === brokerId;
      const report = {
        topicId: MODEL_TOPIC,
        partition: 0,
        replicaId,
        promisedEpoch: epoch,
        lastEpoch: epoch,
        ...ends,
        leadingEpoch: leading ? epoch : 0,
        followingId: leading ? 0 : this.leader,
        config: undefined,
        configFloor,
      };
      this.#apply([{ type: 'replicas_reported', brokerId, replicas: [report], complete: false }]);
    }
  }

  #apply(records: readonly ClusterRecord[]): void {
    for (const record of records) this.state.apply(record);
  }
}
