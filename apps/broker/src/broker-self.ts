/** What a broker says of itself: to the directory before anybody else is known, and to coordinators. */
import { PEER_PROTOCOL_VERSION } from '@partita/domain';
import { BrokerState, ServiceKind } from '@partita/protocol';
import type { Broker, BrokerRegister } from '@partita/protocol';
import type { DirectoryHolder } from '@partita/rpc/server';
import { PRODUCT_VERSION, systemClock } from '@partita/runtime';
import type { HeardSettings } from './cluster-settings.ts';
import type { DataDirectory } from './data-directory.ts';
import type { PartitionRegistry } from './partition-registry.ts';
import type { ReplicaStore } from './replica-store.ts';

export interface BrokerSelf {
  readonly data: DataDirectory;
  readonly registry: PartitionRegistry;
  readonly store: ReplicaStore;
  readonly directory: DirectoryHolder;
  readonly settings: HeardSettings;
  readonly rack: string;
  /** As others are told. */
  readonly addresses: { readonly address: string; readonly peerAddress: string };
}

/** Until a coordinator tells more, the directory holds this broker alone. */
export function onlyThisBroker({ data, rack, addresses }: BrokerSelf): Parameters<DirectoryHolder['update']>[0] {
  const { clusterId, brokerId, incarnation } = data.identity;
  const { address } = addresses;
  const own: Broker = {
    brokerId,
    address,
    rack,
    state: BrokerState.BROKER_STATE_UP,
    version: PRODUCT_VERSION,
    startTime: undefined,
  };
  const endpoint = {
    service: ServiceKind.SERVICE_KIND_BROKER,
    address,
    brokerId,
    instanceId: `${brokerId}-${incarnation}`,
    active: false,
  };
  return { clusterId, brokers: [own], endpoints: [endpoint] };
}

/** All that a coordinator is told when a session begins. */
export function registration({
  data,
  registry,
  store,
  directory,
  settings,
  rack,
  addresses,
}: BrokerSelf): BrokerRegister {
  const { clusterId, brokerId, dirUuid, incarnation } = data.identity;
  return {
    clusterId,
    protocolVersion: PEER_PROTOCOL_VERSION,
    brokerId,
    directoryId: dirUuid,
    incarnation: BigInt(incarnation),
    ...addresses,
    rack,
    clean: data.isClean,
    bootId: data.bootId,
    inventory: [...registry.actors(), ...registry.damaged()].map((replica) => replica.inventory()),
    topics: registry.topics.map((topic) => topic.config),
    tombstones: store.tombstones,
    knownBrokers: [...directory.snapshot().brokers],
    version: PRODUCT_VERSION,
    wallMs: BigInt(systemClock.wallMs()),
    settings: settings.stored,
  };
}
