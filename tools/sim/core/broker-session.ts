/** A broker's sessions with the coordinators: it reports what it holds, and hears who leads. */
import type { ReplicaReport } from '@partita/cluster';
import { BROKER_HEARTBEAT_MS } from '@partita/domain';
import { currentConfig } from '@partita/replication';
import type { Broker } from './broker.ts';
import { configOf, TOPIC_ID } from './identities.ts';
import type { Replica } from './replica.ts';
import type { World } from './world.ts';

/** What one heartbeat says. */
export interface Heartbeat {
  readonly brokerId: number;
  readonly life: number;
  /** Grows within a life: a session is in order, so an earlier one that comes later is dropped. */
  readonly number: number;
  readonly directoryId: string;
  readonly reports: readonly ReplicaReport[];
  /** In-sync sets of what it leads. */
  readonly inSync: readonly {
    readonly topicId: string;
    readonly partition: number;
    readonly epoch: number;
    readonly inSync: readonly number[];
    readonly inSyncVersion: number;
  }[];
  /** Highest epoch that it was told of, by partition. */
  readonly toldEpochs: readonly number[];
}

/** Who leads, as a coordinator says. */
export interface Told {
  readonly epoch: number;
  readonly leaderId: number;
}

export class BrokerSession {
  readonly #world: World;
  readonly #broker: Broker;
  readonly #told = new Map<number, Told>();
  #number = 0;
  #nextMs = 0;

  constructor(world: World, broker: Broker) {
    this.#world = world;
    this.#broker = broker;
  }

  leaderOf(partition: number): Told | undefined {
    return this.#told.get(partition);
  }

  /** A coordinator's word, which may be late or old. */
  tell(partition: number, told: Told): void {
    const known = this.#told.get(partition);
    if (known !== undefined && told.epoch < known.epoch && !this.#world.plan.trustsLastWord) return;
    this.#told.set(partition, told);
    this.#broker.feed(partition, { kind: 'follow', ...told });
  }

  tick(): void {
    const world = this.#world;
    if (world.nowMs < this.#nextMs) return;
    this.#nextMs = world.nowMs + BROKER_HEARTBEAT_MS;
    this.#number += 1;
    const heartbeat = this.#heartbeat();
    for (const coordinator of world.coordinators)
      world.network.send(this.#broker.node, coordinator, () => coordinator.hears(heartbeat));
  }

  /** The process is gone: its connections say so where they can. */
  broken(): void {
    const world = this.#world;
    const { node, life } = this.#broker;
    for (const coordinator of world.coordinators) {
      if (world.random.chance(0.3)) continue;
      world.network.send(node, coordinator, () => coordinator.lost(node, life - 1));
    }
  }

  #heartbeat(): Heartbeat {
    const { node, life, directoryId, replicas } = this.#broker;
    return {
      brokerId: node,
      life,
      number: this.#number,
      directoryId,
      reports: replicas.map(reportOf),
      inSync: replicas.flatMap((replica) => {
        const role = replica.leaderRole;
        if (role === undefined) return [];
        const { epoch, inSyncVersion } = role;
        return [{ topicId: TOPIC_ID, partition: replica.partition, epoch, inSync: replica.inSync, inSyncVersion }];
      }),
      toldEpochs: this.#world.oracles.map((_, partition) => this.#told.get(partition)?.epoch ?? 0),
    };
  }
}

function reportOf({ state, partition, leaderRole }: Replica): ReplicaReport {
  const { meta, configs, history, durableEnd, highWatermark, logStart, self, suspectWish, following } = state;
  return {
    topicId: TOPIC_ID,
    partition,
    replicaId: self.replicaId,
    promisedEpoch: meta.promisedEpoch,
    lastEpoch: history.at(-1)?.epoch ?? 0,
    logEndOffset: durableEnd,
    highWatermark,
    logStartOffset: logStart,
    logBytes: 0n,
    suspect: meta.suspect || suspectWish === true,
    leadingEpoch: leaderRole?.epoch ?? 0,
    followingId: following?.phase === 'live' ? following.leaderId : 0,
    // What the journal knows: replicas are made and deleted by what a leader reports here.
    config: configOf(configs.find(({ version }) => version <= meta.configFloor) ?? currentConfig(state)),
    configFloor: meta.configFloor,
  };
}
