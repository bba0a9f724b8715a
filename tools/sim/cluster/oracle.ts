/**
 * What must hold of a cluster, looked at after each event: replicas as their brokers have them, acknowledgements as clients
 * got them. Numbers are those of the invariants in the protocol.
 */
import { lastEpoch } from '@partita/replication';
import type { EpochStart, PartitionState, ReplicaConfig } from '@partita/replication';
import type { ReplicaActor } from './services.ts';
import type { SimulatedProcess } from './processes.ts';
import type { World } from './world.ts';

/** A replica that is open in a broker's process. */
export interface OpenReplica {
  readonly actor: ReplicaActor;
  readonly process: SimulatedProcess;
  readonly brokerId: number;
  role: PartitionState['role'];
  configs: PartitionState['configs'];
  highWatermark: bigint;
  promisedEpoch: number;
}

/** What is known of a partition for good. */
interface Committed {
  /** Who led each epoch. */
  readonly leaders: Map<number, string>;
  /** Epochs of committed records, and where each begins. */
  history: EpochStart[];
  end: bigint;
  /** Acknowledged values by offset. */
  readonly acked: Map<bigint, string>;
  /** Replica sets that any replica has known. */
  readonly configs: Map<string, ReplicaConfig>;
  /** Newest version that a replica knows to be committed. */
  configFloor: number;
}

export class Oracle {
  readonly #world: World;
  readonly #replicas = new Set<OpenReplica>();
  readonly #partitions = new Map<string, Committed>();
  /** Ids of replicas that were ever opened: their journal entries were durable before. */
  readonly #made = new Set<string>();
  /** Highest durable promise by replica id. */
  readonly #promised = new Map<string, number>();

  constructor(world: World) {
    this.#world = world;
  }

  get replicas(): IterableIterator<OpenReplica> {
    return this.#replicas.values();
  }

  /** Replicas of a partition that are open now. */
  replicasOf(topicId: string, partition: number): OpenReplica[] {
    return [...this.#replicas].filter(
      ({ actor, process }) =>
        process.isAlive && !actor.isClosed && actor.topicId === topicId && actor.partition === partition,
    );
  }

  /** True when the replica has ever been there. */
  wasMade(replicaId: string): boolean {
    return this.#made.has(replicaId);
  }

  ackedOf(topicId: string, partition: number): ReadonlyMap<bigint, string> {
    return this.#committed(topicId, partition).acked;
  }

  /** A broker has opened a replica. */
  onReplica(actor: ReplicaActor, process: SimulatedProcess, brokerId: number): void {
    const { state, replicaId } = actor;
    const { role, highWatermark, meta, configs } = state;
    const promisedBefore = this.#promised.get(replicaId) ?? 0;
    if (meta.promisedEpoch < promisedBefore)
      this.#violated('I7', actor, `comes back with promise ${meta.promisedEpoch}, after ${promisedBefore}`);
    this.#noteConfigs(actor, state);
    this.#made.add(replicaId);
    const { promisedEpoch } = meta;
    this.#replicas.add({ actor, process, brokerId, role, configs, highWatermark, promisedEpoch });
  }

  onAcked(topicId: string, partition: number, offset: bigint, value: string): void {
    const { acked } = this.#committed(topicId, partition);
    const other = acked.get(offset);
    if (other !== undefined && other !== value)
      this.#world.violated(`I3: ${topicId}/${partition} acknowledges ${other} and ${value} at ${offset}`);
    acked.set(offset, value);
  }

  /** Looks at what the last event has changed. */
  look(): void {
    for (const replica of this.#replicas) {
      const { actor, process } = replica;
      if (!process.isAlive || actor.isClosed) {
        this.#replicas.delete(replica);
        continue;
      }
      const { state } = actor;
      if (state.configs !== replica.configs) {
        replica.configs = state.configs;
        this.#noteConfigs(actor, state);
      }
      if (state.role !== replica.role) this.#onRole(replica, state);
      if (state.highWatermark !== replica.highWatermark) this.#onHighWatermark(replica, state);
      const { promisedEpoch } = state.meta;
      if (promisedEpoch !== replica.promisedEpoch && state.persisting === undefined) this.#onPromise(replica, state);
    }
  }

  /** Replica sets of the partition that may be in force, as far as any replica has told. */
  configsOf(topicId: string, partition: number): ReplicaConfig[] {
    const { configs, configFloor } = this.#committed(topicId, partition);
    return [...configs.values()].filter(({ version }) => version >= configFloor);
  }

  /** All sets of all partitions that were ever known. */
  *allConfigs(): Generator<{ readonly topicId: string; readonly partition: number; readonly config: ReplicaConfig }> {
    for (const [key, { configs }] of this.#partitions) {
      const [topicId = '', partition] = key.split('/');
      for (const config of configs.values()) yield { topicId, partition: Number(partition), config };
    }
  }

  #noteConfigs({ topicId, partition }: ReplicaActor, { configs, configFloor }: PartitionState): void {
    const committed = this.#committed(topicId, partition);
    committed.configFloor = Math.max(committed.configFloor, configFloor);
    for (const config of configs) {
      // A version that was given up may be taken by another set.
      const key = `${config.version} ${config.replicas.map(({ replicaId }) => replicaId).join()}`;
      if (committed.configs.has(key)) continue;
      committed.configs.set(key, config);
      if (config.version > 1) this.#world.tally.add('replica sets changed');
    }
  }

  #onRole(replica: OpenReplica, state: PartitionState): void {
    const { actor } = replica;
    const before = replica.role;
    replica.role = state.role;
    if (state.role.kind !== 'leader') return;
    const { epoch } = state.role;
    if (before.kind === 'leader' && before.epoch === epoch) return;
    const committed = this.#committed(actor.topicId, actor.partition);
    this.#world.tally.add('leaders');
    const other = committed.leaders.get(epoch);
    if (other !== undefined && other !== actor.replicaId)
      this.#violated('I2', actor, `leads epoch ${epoch}, as ${other} does`);
    committed.leaders.set(epoch, actor.replicaId);
    if (state.meta.suspect) this.#violated('I8', actor, `leads epoch ${epoch} and is suspect`);
    this.#holdsCommitted(actor, state, committed, epoch);
  }

  /** I4: what was committed in epochs before is in the log of the leader. */
  #holdsCommitted(actor: ReplicaActor, state: PartitionState, committed: Committed, epoch: number): void {
    const later = committed.history.find((start) => start.epoch >= epoch);
    if (later !== undefined) this.#world.tally.add('seen: stale leader elected');
    const end = later === undefined || later.startOffset > committed.end ? committed.end : later.startOffset;
    if (state.logEnd < end) {
      this.#violated('I4', actor, `leads epoch ${epoch} with a log to ${state.logEnd}, committed is ${end}`);
      return;
    }
    this.#matches('I4', actor, state, committed, end);
  }

  #onHighWatermark(replica: OpenReplica, state: PartitionState): void {
    const { actor } = replica;
    if (state.highWatermark < replica.highWatermark)
      this.#violated('I6', actor, `its watermark falls from ${replica.highWatermark} to ${state.highWatermark}`);
    replica.highWatermark = state.highWatermark;
    if (state.highWatermark > state.durableEnd)
      this.#violated('I6', actor, `watermark ${state.highWatermark} is above its durable end ${state.durableEnd}`);
    const committed = this.#committed(actor.topicId, actor.partition);
    const end = state.highWatermark < committed.end ? state.highWatermark : committed.end;
    this.#matches('I3', actor, state, committed, end);
    if (state.highWatermark <= committed.end) return;
    committed.end = state.highWatermark;
    committed.history = state.history
      .filter(({ startOffset }) => startOffset < committed.end)
      .map((one) => ({ ...one }));
  }

  /** The replica's log has the committed epochs, each from the same offset, up to `end`. */
  #matches(which: string, actor: ReplicaActor, state: PartitionState, committed: Committed, end: bigint): void {
    const wanted = committed.history.filter(({ startOffset }) => startOffset < end);
    const found = state.history.filter(({ startOffset }) => startOffset < end);
    const text = (history: readonly EpochStart[]) =>
      history.map(({ epoch, startOffset }) => `${epoch}@${startOffset}`).join(' ');
    if (text(wanted) !== text(found))
      this.#violated(which, actor, `has epochs ${text(found)} below ${end}, committed are ${text(wanted)}`);
  }

  #onPromise(replica: OpenReplica, state: PartitionState): void {
    const { actor } = replica;
    const { promisedEpoch } = state.meta;
    if (promisedEpoch < replica.promisedEpoch)
      this.#violated('I7', actor, `its promise falls from ${replica.promisedEpoch} to ${promisedEpoch}`);
    replica.promisedEpoch = promisedEpoch;
    this.#promised.set(actor.replicaId, promisedEpoch);
    if (lastEpoch(state.history) > promisedEpoch)
      this.#violated('I7', actor, `holds epoch ${lastEpoch(state.history)} and has promised ${promisedEpoch}`);
  }

  #committed(topicId: string, partition: number): Committed {
    const key = `${topicId}/${partition}`;
    let committed = this.#partitions.get(key);
    if (committed === undefined) {
      committed = {
        leaders: new Map(),
        history: [],
        end: 0n,
        acked: new Map(),
        configs: new Map(),
        configFloor: 0,
      };
      this.#partitions.set(key, committed);
    }
    return committed;
  }

  #violated(which: string, { topicId, partition, replicaId }: ReplicaActor, what: string): void {
    this.#world.violated(`${which}: replica ${replicaId} of ${topicId}/${partition} ${what}`);
  }
}

/** A replica in one line, for who reads a trace. */
export function describeReplica({ actor, brokerId }: OpenReplica): string {
  const { topicId, partition, replicaId, state } = actor;
  const { role, meta, following, logStart, logEnd, durableEnd, highWatermark } = state;
  const epoch = 'epoch' in role ? ` ${role.epoch}` : '';
  const whom = following === undefined ? 'nobody' : `${following.leaderId} in ${following.epoch} (${following.phase})`;
  return [
    `replica ${replicaId} of ${topicId}/${partition} on broker ${brokerId}: ${role.kind}${epoch}, follows ${whom}`,
    `promised ${meta.promisedEpoch}${meta.suspect ? ', suspect' : ''}`,
    `log ${logStart}..${logEnd}, durable ${durableEnd}, watermark ${highWatermark}`,
  ].join('; ');
}
