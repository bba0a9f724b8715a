import { randomUUID } from 'node:crypto';
import { PEER_PROTOCOL_VERSION } from '@partita/domain';
import { InstanceSessionServiceService, ServiceKind } from '@partita/protocol';
import type { InstanceSessionRequest, InstanceSessionResponse, ShardAssignment } from '@partita/protocol';
import { openBidi } from '@partita/rpc/client';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ClusterModel } from '../cluster-model.ts';
import { GROUP_SHARD_COUNT, GroupShards } from './group-shards.ts';
import { eventually, SpecCluster } from '../testing/spec-cluster.ts';

let cluster: SpecCluster;
let instances: Instance[] = [];
beforeEach(() => (cluster = new SpecCluster()));
afterEach(async () => {
  for (const instance of instances) instance.close();
  instances = [];
  await cluster.stop();
});

/** A consumer-group instance as far as a coordinator sees it. */
class Instance {
  readonly instanceId = randomUUID();
  draining = false;
  #last: ShardAssignment | undefined;
  readonly #stream;
  readonly #heartbeats;

  constructor(coordinator: string) {
    this.#stream = openBidi<InstanceSessionRequest, InstanceSessionResponse>(
      cluster.pool.client(coordinator),
      InstanceSessionServiceService.instanceSession,
      {
        onMessage: ({ message }) => {
          if (message?.$case === 'shards') this.#last = message.shards;
        },
      },
    );
    const { instanceId } = this;
    const about = { clusterId: '', protocolVersion: PEER_PROTOCOL_VERSION, version: '0.1.0', peerAddress: '' };
    const service = ServiceKind.SERVICE_KIND_CONSUMER_GROUP;
    const register = { ...about, service, instanceId, address: '127.0.0.1:1' };
    this.#stream.send({ message: { $case: 'register', register } });
    this.#heartbeats = setInterval(() => this.beat(), 500);
    instances.push(this);
  }

  beat(): void {
    const heartbeat = { draining: this.draining, ownedShards: [] };
    this.#stream.send({ message: { $case: 'heartbeat', heartbeat } });
  }

  /** Shards of an instance, as this one was told last. */
  shardsOf({ instanceId }: Instance): number[] {
    const shards = this.#last?.shards ?? [];
    return shards.filter((hint) => hint.instanceId === instanceId).map(({ shard }) => shard);
  }

  close(): void {
    clearInterval(this.#heartbeats);
    this.#stream.cancel();
  }
}

describe('consumer-group instances', () => {
  it('get their share of the shards of __groups, give it up when they drain, and lose it when they die', async () => {
    const coordinator = await cluster.startCoordinator('--expected-brokers', '1');
    await cluster.startBroker(1);
    const first = new Instance(coordinator.peerAddress);
    await eventually(() => first.shardsOf(first).length === GROUP_SHARD_COUNT);
    const client = cluster.client();
    expect((await client.list({ includeInternal: true })).topics.map(({ name }) => name)).toEqual(['__groups']);
    expect((await client.list()).topics).toEqual([]);
    await expect(client.delete('__groups')).rejects.toMatchObject({ reason: 'INTERNAL_TOPIC' });

    const second = new Instance(coordinator.peerAddress);
    await eventually(() => second.shardsOf(second).length === GROUP_SHARD_COUNT / 2);
    expect(first.shardsOf(first)).toHaveLength(GROUP_SHARD_COUNT / 2);
    second.draining = true;
    second.beat();
    await eventually(() => second.shardsOf(first).length === GROUP_SHARD_COUNT);
    second.draining = false;
    second.beat();
    await eventually(() => first.shardsOf(second).length === GROUP_SHARD_COUNT / 2);
    first.close();
    // The grace for instances of an earlier coordinator is over after three seconds.
    await eventually(() => second.shardsOf(second).length === GROUP_SHARD_COUNT);
  });
});

describe('shards that the directory gives to instances of before', () => {
  /** A coordinator that has just begun; its clock stands still, so that the time to come back never ends. */
  function begun(owner: { readonly instanceId: string; readonly address: string }) {
    const model = new ClusterModel();
    const ranges = Array.from({ length: GROUP_SHARD_COUNT }, (_, shard) => ({ hashMin: shard, hashMax: shard }));
    const about = { version: 1n, replicationFactor: 1, settings: {}, createTimeMs: 0, requestId: '' };
    const definition = { topicId: 'groups', name: '__groups', ranges, ...about };
    model.apply([{ type: 'topic_put', definition, name: '__groups', life: 'active' }]);
    model.formerAddresses.set(owner.instanceId, owner.address);
    for (const shard of ranges.keys()) model.apply([{ type: 'shard_assigned', shard, instanceId: owner.instanceId }]);
    const parts = { lease: { mayOrder: () => true, onChange: () => undefined }, clock: { monotonicMs: () => 0 } };
    const shards = new GroupShards({ model, expectedBrokers: 1, onAssigned: () => undefined, ...parts } as never);
    const join = (instanceId: string, address: string): number => {
      const facts = { service: 'consumer_group' as const, peerAddress: '', version: '', draining: false };
      model.apply([{ type: 'instance_put', instance: { instanceId, address, ...facts } }]);
      shards.reconcile();
      return [...model.state.shards().values()].filter((id) => id === instanceId).length;
    };
    return join;
  }

  it('wait for those that may come back', () => {
    const join = begun({ instanceId: 'former', address: 'host:1' });
    expect(join('other', 'host:2')).toBe(0);
    expect(join('former', 'host:1')).toBe(GROUP_SHARD_COUNT / 2);
  });

  it('do not wait for one at whose address another listens', () => {
    const join = begun({ instanceId: 'former', address: 'host:1' });
    expect(join('successor', 'host:1')).toBe(GROUP_SHARD_COUNT);
  });

  it('wait when the directory does not say where it listened', () => {
    const join = begun({ instanceId: 'former', address: '' });
    expect(join('other', '')).toBe(0);
  });
});

describe('the topic __groups', () => {
  const replicationFactor = async (): Promise<number | undefined> =>
    (await cluster.client().list({ includeInternal: true })).topics[0]?.replicationFactor;

  it('waits for brokers that start with it, so that it has three replicas', async () => {
    const coordinator = await cluster.startCoordinator();
    new Instance(coordinator.peerAddress);
    for (const id of [1, 2, 3]) {
      await cluster.startBroker(id);
      await new Promise((resolve) => setTimeout(resolve, 400));
    }
    await eventually(async () => (await replicationFactor()) === 3);
  });

  it('does not wait for others when there is but one', async () => {
    const coordinator = await cluster.startCoordinator('--expected-brokers', '1');
    await cluster.startBroker(1);
    new Instance(coordinator.peerAddress);
    // Less than it waits for others that may come.
    await eventually(async () => (await replicationFactor()) === 1, 1400);
  });

  it('does not wait for ever: one broker is enough when no other comes', async () => {
    const coordinator = await cluster.startCoordinator();
    await cluster.startBroker(1);
    new Instance(coordinator.peerAddress);
    await eventually(async () => (await replicationFactor()) === 1);
  });
});
