/** The production services as the simulation starts them: loaded by their paths, since nothing imports an app. */
import type { Clock, PartitaError, Random } from '@partita/domain';
import type { MetadataStore } from '@partita/metadata-store';
import type { PartitionState } from '@partita/replication';
import type { ProcessLogger, RunningService } from '@partita/runtime';
import type { Metrics } from '@partita/telemetry';
import { currentProcess } from './processes.ts';

interface Address {
  readonly host: string;
  readonly port: number;
}

/** What a broker is started with; as apps/broker has it. */
export interface BrokerOptions {
  readonly config: Readonly<Record<string, unknown>> & { readonly coordinators: readonly Address[] };
  readonly logger: ProcessLogger;
  readonly tracing: 'off';
  readonly metrics: Metrics;
  readonly fail: (error: unknown) => void;
}

/** What a coordinator is started with; as apps/coordinator has it. */
export interface CoordinatorOptions {
  readonly config: Readonly<Record<string, unknown>> & { readonly listen: Address; readonly peerListen: Address };
  readonly store: MetadataStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: ProcessLogger;
  readonly runId: string;
  readonly tracing: 'off';
  readonly metrics: Metrics;
  readonly onWrongCluster: (error: PartitaError) => void;
}

/** A replica as the oracle looks at it; as apps/broker's PartitionActor has it. */
export interface ReplicaActor {
  readonly topicId: string;
  readonly partition: number;
  readonly replicaId: string;
  readonly isClosed: boolean;
  readonly state: PartitionState;
  readonly log: { readonly logStart: bigint };
  /** Committed batches from the offset on. */
  read(fromOffset: bigint, maxBytes: number): Promise<{ readonly bytes: Uint8Array; readonly nextOffset: bigint }>;
}

/** Every replica that a broker opens goes through here. */
interface RegistryClass {
  readonly prototype: { putActor: (this: object, actor: ReplicaActor) => void };
}

const APPS = new URL('../../../apps/', import.meta.url);

export const { startBroker } = await load<{
  readonly startBroker: (options: BrokerOptions) => Promise<RunningService>;
}>('broker/src/broker.ts');
export const { startCoordinator } = await load<{
  readonly startCoordinator: (options: CoordinatorOptions) => Promise<RunningService>;
}>('coordinator/src/coordinator.ts');
const { PartitionRegistry } = await load<{ readonly PartitionRegistry: RegistryClass }>(
  'broker/src/partition-registry.ts',
);
// Where the oracle gets to know of replicas, so that services need not know of it.
const { putActor } = PartitionRegistry.prototype;
PartitionRegistry.prototype.putActor = function (actor) {
  putActor.call(this, actor);
  currentProcess()?.machine.onReplica?.(actor);
};

async function load<Module>(path: string): Promise<Module> {
  const url = new URL(path, APPS).href;
  return (await import(url)) as Module;
}
