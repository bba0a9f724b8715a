import { afterEach, beforeEach, expect, it } from 'vitest';
import {
  Broker,
  BrokerSessionServiceService,
  ClusterServiceService,
  TopicRoute,
  WatchRoutesResponse,
} from '@partita/protocol';
import type { BrokerSessionRequest, BrokerSessionResponse } from '@partita/protocol';
import { PartitaError } from '@partita/domain';
import { bidi, createRpcServer } from '@partita/rpc/server';
import type { RpcServer, ServerBidiStream } from '@partita/rpc/server';
import { callUnary } from '@partita/rpc/client';
import { createLogger, parseAddress } from '@partita/runtime';
import { fromRpcStatus } from '@partita/rpc';
import { batchOf, entryFor, TestBroker } from './testing/broker.fixture.ts';

/** The listening half of a coordinator: takes registrations and heartbeats as they come. */
class Coordinator {
  readonly received: BrokerSessionRequest['message'][] = [];
  readonly server: RpcServer;
  stream: ServerBidiStream<BrokerSessionResponse> | undefined;
  refusal: PartitaError | undefined;

  constructor(listen: string) {
    const logger = createLogger({ service: 'test', instance: '1', level: 'silent' });
    this.server = createRpcServer({ name: 'coordinator', listen, limits: 'peer', logger, tracing: false });
    this.server.addService(BrokerSessionServiceService, {
      brokerSession: bidi((stream) => ({
        onMessage: ({ message }: BrokerSessionRequest) => {
          this.received.push(message);
          if (message?.$case !== 'register') return;
          if (this.refusal !== undefined) throw this.refusal;
          this.stream = stream;
          const accepted = { coordinatorRunId: '', heartbeatMs: 500, active: true };
          stream.send({ message: { $case: 'accepted', accepted } });
        },
      })),
    });
  }

  async until(look: (messages: BrokerSessionRequest['message'][]) => boolean): Promise<void> {
    const endMs = performance.now() + 8000;
    while (!look(this.received)) {
      if (performance.now() > endMs) throw new Error(`not seen among ${this.received.length} messages`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

let coordinator: Coordinator;
let address: string;
let broker: TestBroker;

beforeEach(async () => {
  coordinator = new Coordinator('127.0.0.1:0');
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
  coordinator = new Coordinator(address);
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

it('answers from the directory that the coordinator sends, and drops news of an older lease', async () => {
  await coordinator.until((messages) => messages.length > 0);
  const send = (leaseToken: bigint, routes: Partial<WatchRoutesResponse>) =>
    coordinator.stream?.send({
      message: { $case: 'directory', directory: { routes: WatchRoutesResponse.fromPartial(routes), leaseToken } },
    });
  const trains = TopicRoute.fromPartial({
    topic: 'trains',
    topicId: 't1',
    version: 1n,
    partitions: [{ partition: 0, leaderId: 2, leaderEpoch: 4 }],
  });
  send(5n, { reset: true, brokers: [Broker.fromPartial({ brokerId: 2, address: '127.0.0.1:9002' })] });
  send(5n, { complete: true, routes: [trains] });
  send(4n, { reset: true, complete: true });
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
  coordinator.stream?.end();
  const endMs = performance.now() + 8000;
  while (broker.failures.length === 0 && performance.now() < endMs)
    await new Promise((resolve) => setTimeout(resolve, 20));
  expect(broker.failures[0]).toMatchObject({ code: 4 });
});
