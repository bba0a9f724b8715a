import { afterEach, beforeEach, expect, it } from 'vitest';
import { Broker, ClusterServiceService, TopicRoute, WatchRoutesResponse } from '@partita/protocol';
import { PartitaError } from '@partita/domain';
import { callUnary } from '@partita/rpc/client';
import { parseAddress } from '@partita/runtime';
import { fromRpcStatus } from '@partita/rpc';
import { batchOf, entryFor, TestBroker } from './testing/broker.fixture.ts';
import { FakeCoordinator } from './testing/fake-coordinator.ts';

let coordinator: FakeCoordinator;
let address: string;
let broker: TestBroker;

beforeEach(async () => {
  coordinator = new FakeCoordinator('127.0.0.1:0');
  ({ address } = await coordinator.server.start());
  broker = await TestBroker.start(undefined, { coordinators: [parseAddress(address)] });
});

afterEach(async () => {
  await broker.stop();
  await broker.remove();
  coordinator.server.close();
});

it('registers, reports what changes, and registers anew with its inventory when the coordinator comes back', async () => {
  await coordinator.until((messages) => messages[0]?.$case === 'register');
  await broker.elect(await broker.createTopic('flights'), 1);
  await broker.appendOk(entryFor('flights', batchOf('a')));
  await coordinator.until((messages) =>
    messages.some((message) => message?.$case === 'heartbeat' && message.heartbeat.changed[0]?.highWatermark === 2n),
  );
  coordinator.server.close();
  coordinator = new FakeCoordinator(address);
  await coordinator.server.start();
  await coordinator.until((messages) => messages[0]?.$case === 'register');
  const [first] = coordinator.received;
  expect(first?.$case === 'register' && first.register).toMatchObject({
    brokerId: 1,
    incarnation: 1n,
    address: broker.address,
    inventory: [{ partition: 0, leadingEpoch: 1, lastEpoch: 1, logEndOffset: 2n, suspect: false }],
    topics: [{ topic: 'flights' }],
  });
});

it('answers from the directory that the coordinator sends', async () => {
  await coordinator.until((messages) => messages.length > 0);
  const send = (leaseToken: bigint, routes: Partial<WatchRoutesResponse>) =>
    coordinator.tell({ routes: WatchRoutesResponse.fromPartial(routes), leaseToken, peers: [] });
  const trains = TopicRoute.fromPartial({
    topic: 'trains',
    topicId: 't1',
    version: 1n,
    partitions: [{ partition: 0, leaderId: 2, leaderEpoch: 4 }],
  });
  send(5n, { reset: true, brokers: [Broker.fromPartial({ brokerId: 2, address: '127.0.0.1:9002' })] });
  send(5n, { complete: true, routes: [trains] });
  let names: string[] = [];
  while (names.length === 0) {
    const { routes } = await callUnary(broker.client, ClusterServiceService.getRoutes, { topics: [] });
    names = routes.map(({ topic }) => topic);
  }
  expect(names).toEqual(['trains']);
  const [result] = await broker.append(entryFor('trains', batchOf('a')));
  const error = result?.outcome?.$case === 'error' ? fromRpcStatus(result.outcome.error) : undefined;
  expect(error?.reason).toBe('NOT_LEADER');
  expect(error?.metadata).toMatchObject({ leader: '2', leader_epoch: '4', address: '127.0.0.1:9002' });
});

it('ends the process with exit code 4 when it is in the wrong cluster', async () => {
  await coordinator.until((messages) => messages.length > 0);
  coordinator.refusal = new PartitaError('WRONG_CLUSTER', 'another cluster');
  coordinator.endSessions();
  const endMs = performance.now() + 8000;
  while (broker.failures.length === 0 && performance.now() < endMs)
    await new Promise((resolve) => setTimeout(resolve, 20));
  expect(broker.failures[0]).toMatchObject({ code: 4 });
});
