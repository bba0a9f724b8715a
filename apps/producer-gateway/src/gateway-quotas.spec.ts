/** What a gateway makes of the quotas that coordinators tell. */
import { BatchBuilder, CODEC_NONE } from '@partita/batch';
import { GATEWAY_CLIENT_ID, PartitaError } from '@partita/domain';
import { ProduceRequest, ProducerServiceService, ProduceStreamRequest, Quota, ServiceKind } from '@partita/protocol';
import type { ProduceStreamResponse } from '@partita/protocol';
import { fromRpcStatus } from '@partita/rpc';
import { callUnary, ChannelPool, openBidi } from '@partita/rpc/client';
import type { RunningService } from '@partita/runtime';
import { MetricRegistry } from '@partita/telemetry';
import { metricValue } from '@partita/testkit';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startGateway } from './gateway.ts';
import { routeOf } from './testing/route.ts';
import { gatewayConfig, LOGGER, SpecBroker, SpecCoordinator } from './testing/spec-cluster.ts';

const KIB = 1024;
const RATE = 64 * KIB;
const VALUE = Buffer.alloc(16 * KIB, 'v');
const ROUTES = [routeOf('orders', 1), routeOf('free', 1)];

let coordinator: SpecCoordinator;
let broker: SpecBroker;
let gateway: RunningService;
let address: string;
let metrics: MetricRegistry;
const pools: ChannelPool[] = [];

beforeEach(async () => {
  coordinator = await new SpecCoordinator().start();
  broker = await new SpecBroker(1).start();
  coordinator.tell(ROUTES, [broker]);
  metrics = new MetricRegistry();
  gateway = await startGateway({
    config: gatewayConfig(coordinator.address),
    logger: LOGGER,
    tracing: 'off',
    metrics,
    instanceId: '00000000-0000-7000-8000-0000000000aa',
    fail: () => undefined,
  });
  address = String(gateway.ready['address']);
  await expect.poll(() => coordinator.registered.length).toBe(1);
});

afterEach(async () => {
  for (const pool of pools.splice(0)) pool.close();
  await gateway.close();
  for (const each of [broker, coordinator]) each.close();
});

async function tell(version: bigint, ...quotas: Partial<Quota>[]): Promise<void> {
  coordinator.tellQuotas({ version, quotas: quotas.map((quota) => Quota.fromPartial(quota)) });
  await new Promise((resolve) => setTimeout(resolve, 100));
}

function clientOf(clientId: string) {
  const pool = new ChannelPool({ clientId });
  pools.push(pool);
  return pool.client(address);
}

/** Offers 12 requests of 16 KiB at once; why those failed that did. */
async function offer(clientId: string, topic = 'orders'): Promise<PartitaError[]> {
  const client = clientOf(clientId);
  const request = ProduceRequest.fromPartial({ topic, records: [{ value: VALUE }] });
  const calls = Array.from({ length: 12 }, () =>
    callUnary(client, ProducerServiceService.produce, request, { deadlineMs: 10_000, append: true }),
  );
  const outcomes = await Promise.allSettled(calls);
  return outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason as PartitaError] : []));
}

test('a client that is beyond its quota is slowed down, then refused with the time to wait; others are not', async () => {
  await tell(1n, { clientId: 'loader', produceBytesPerSecond: BigInt(RATE) });
  const beganMs = performance.now();
  const errors = await offer('loader');
  expect(performance.now() - beganMs).toBeGreaterThan(400);
  expect(errors.length).toBeGreaterThan(0);
  expect(errors.length).toBeLessThanOrEqual(7);
  for (const error of errors)
    expect(error).toMatchObject({
      reason: 'QUOTA_EXCEEDED',
      metadata: { quota: 'client:loader', limit: String(RATE) },
      retryAfterMs: expect.any(Number) as number,
    });
  expect(await offer('other')).toEqual([]);
  expect(metricValue(metrics, 'partita.gateway.throttle.refused', { quota: 'client', topic: 'orders' })).toBe(
    errors.length,
  );
});

test('the quota of a topic holds all its clients together, and no other topic', async () => {
  await tell(1n, { topic: 'orders', produceBytesPerSecond: BigInt(RATE) });
  const [one, two] = await Promise.all([offer('one'), offer('two')]);
  expect(one.length + two.length).toBeGreaterThanOrEqual(24 - 14);
  expect(await offer('one', 'free')).toEqual([]);
});

test('gateways share the quota of a client evenly', async () => {
  const service = ServiceKind.SERVICE_KIND_GATEWAY;
  const gateways = ['a:1', 'b:1', 'c:1', 'd:1'].map((name) => ({
    ...{ service, address: name, brokerId: 0, instanceId: name, active: false },
  }));
  const coordinators = { ...gateways[0]!, service: ServiceKind.SERVICE_KIND_COORDINATOR, address: coordinator.address };
  coordinator.tell(ROUTES, [broker], [coordinators, ...gateways]);
  await tell(1n, { clientId: 'loader', produceBytesPerSecond: BigInt(RATE / 2) });
  // A quarter of the rate: one at once, which is paid back for two seconds. Alone two would go at once, and two soon.
  expect((await offer('loader')).length).toBeGreaterThanOrEqual(10);
});

test('the last quotas hold without a coordinator, and older ones do not come back', async () => {
  await tell(2n, { clientId: 'loader', produceBytesPerSecond: BigInt(RATE) });
  await tell(1n);
  coordinator.leave();
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect((await offer('loader')).length).toBeGreaterThan(0);
});

test('quotas that are removed hold nobody', async () => {
  await tell(1n, { produceBytesPerSecond: BigInt(RATE) });
  expect((await offer('anybody')).length).toBeGreaterThan(0);
  await tell(2n);
  expect(await offer('anybody')).toEqual([]);
});

test('batches of a session keep their order, and the leader knows the gateway by its id', async () => {
  await tell(1n, { clientId: 'loader', produceBytesPerSecond: BigInt(RATE) });
  const reasons: string[] = [];
  const stream = openBidi<ProduceStreamRequest, ProduceStreamResponse>(
    clientOf('loader'),
    ProducerServiceService.produceStream,
    {
      onMessage: ({ message }) => {
        if (message?.$case !== 'result') return;
        const { outcome } = message.result;
        reasons.push(outcome?.$case === 'error' ? fromRpcStatus(outcome.error).reason : 'ack');
      },
    },
  );
  const send = (message: Parameters<typeof ProduceStreamRequest.fromPartial>[0]['message']): void =>
    void stream.send(ProduceStreamRequest.fromPartial({ message }));
  send({ $case: 'initial', initial: {} });
  const producerId = Buffer.alloc(16, 7);
  for (let at = 0; at < 12; at += 1) {
    const builder = new BatchBuilder();
    builder.tryAdd({ value: Buffer.concat([Buffer.from(`${at} `), VALUE]), timestampMs: 1000n });
    const recordBatches = builder.build({ codec: CODEC_NONE, producerId, producerEpoch: 0, firstSequence: BigInt(at) });
    send({ $case: 'batch', batch: { frameId: BigInt(at), topic: 'orders', partition: 0, recordBatches } });
  }
  await expect.poll(() => reasons.length, { timeout: 5000 }).toBe(12);
  stream.cancel();
  const stored = (broker.values.get(0) ?? []).map((value) => Number(value.split(' ')[0]));
  expect(new Set(reasons)).toEqual(new Set(['ack', 'QUOTA_EXCEEDED']));
  expect(stored).toEqual(Array.from({ length: stored.length }, (_, index) => index));
  expect(broker.clientIds).toEqual(new Set([GATEWAY_CLIENT_ID]));
});
