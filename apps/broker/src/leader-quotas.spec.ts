/** What a leader makes of quotas: of the cluster, and of the settings of topics. */
import { GATEWAY_CLIENT_ID } from '@partita/domain';
import { BrokerServiceService, ClusterSettings, Quota } from '@partita/protocol';
import type { AppendResult, AppendStreamRequest, AppendStreamResponse, FetchStreamRequest } from '@partita/protocol';
import { fromRpcStatus } from '@partita/rpc';
import { callUnary, ChannelPool, openBidi } from '@partita/rpc/client';
import { afterEach, describe, expect, it } from 'vitest';
import { batchOf, entryFor, reasonOf, TestBroker, wanted } from './testing/broker.fixture.ts';
import { FakeCoordinator } from './testing/fake-coordinator.ts';

const KIB = 1024;
const RATE = 64 * KIB;
/** 16 KiB with its header, nearly. */
const batch = (name: string) => batchOf(`${name} ${'v'.repeat(16 * KIB - 200)}`);

let broker: TestBroker | undefined;
let coordinator: FakeCoordinator | undefined;
const pools: ChannelPool[] = [];

afterEach(async () => {
  for (const pool of pools.splice(0)) pool.close();
  await broker?.stop();
  await broker?.remove();
  coordinator?.server.close();
  broker = undefined;
  coordinator = undefined;
});

async function start(settings: { produceBytesPerSecond?: bigint; consumeBytesPerSecond?: bigint } = {}) {
  coordinator = new FakeCoordinator('127.0.0.1:0');
  const { address } = await coordinator.server.start();
  const [host = '', port] = address.split(':');
  broker = await TestBroker.start(undefined, { coordinators: [{ host, port: Number(port) }] });
  await coordinator.until((messages) => messages.some((message) => message?.$case === 'register'));
  for (const [name, of] of [
    ['t', settings],
    ['free', {}],
  ] as const)
    await broker.elect(await broker.createTopic(name, { settings: of }), 1);
  return broker;
}

async function tell(...quotas: Partial<Quota>[]): Promise<void> {
  const settings = ClusterSettings.fromPartial({
    version: 1n,
    quotas: quotas.map((quota) => Quota.fromPartial(quota)),
  });
  coordinator!.tell({ routes: undefined, leaseToken: 1n, peers: [], settings });
  await new Promise((resolve) => setTimeout(resolve, 200));
}

function clientOf(clientId: string) {
  const pool = new ChannelPool({ clientId });
  pools.push(pool);
  return pool.client(broker!.address);
}

async function append(clientId: string, ...entries: ReturnType<typeof entryFor>[]): Promise<AppendResult[]> {
  const { results } = await callUnary(clientOf(clientId), BrokerServiceService.append, { entries }, { append: true });
  return results;
}

function twelveEntries() {
  return Array.from({ length: 12 }, (_, index) => entryFor('t', batch(`b${index}`)));
}

async function valuesIn(topic: string): Promise<number> {
  const { highWatermark } = await broker!.fetch({ topic, offset: 0n });
  return Number(highWatermark) - 1;
}

describe('appends beyond a quota', () => {
  it('of a topic wait in order, then are refused with the time to wait, whoever brings them', async () => {
    await start();
    await tell({ topic: 't', produceBytesPerSecond: BigInt(RATE) });
    const beganMs = performance.now();
    // In one request, so that they come at the same moment however busy the machine is.
    const results = await append(GATEWAY_CLIENT_ID, ...twelveEntries());
    const seconds = (performance.now() - beganMs) / 1000;
    const stored = results.filter((result) => reasonOf(result) === 'ack').length;
    // A second's worth at once, and about another within the second that may be waited for.
    expect(stored).toBeGreaterThanOrEqual(6);
    expect(stored).toBeLessThanOrEqual(9);
    expect(seconds).toBeGreaterThan(0.4);
    const refused = results.find((result) => result.outcome?.$case === 'error')!;
    const error = refused.outcome?.$case === 'error' ? fromRpcStatus(refused.outcome.error) : undefined;
    expect(error).toMatchObject({ reason: 'QUOTA_EXCEEDED', metadata: { quota: 'topic:t', limit: String(RATE) } });
    expect(error!.retryAfterMs).toBeGreaterThan(0);
    expect(await valuesIn('t')).toBe(stored);
    expect(reasonOf((await append(GATEWAY_CLIENT_ID, entryFor('free', batch('f'))))[0])).toBe('ack');
  });

  it('of a client hold clients that append themselves, and not what gateways bring', async () => {
    await start();
    await tell({ clientId: 'loader', produceBytesPerSecond: BigInt(RATE) });
    const reasons = async (clientId: string) => (await append(clientId, ...twelveEntries())).map(reasonOf);
    expect(await reasons('loader')).toContain('QUOTA_EXCEEDED');
    expect(new Set(await reasons('other'))).toEqual(new Set(['ack']));
    expect(new Set(await reasons(GATEWAY_CLIENT_ID))).toEqual(new Set(['ack']));
  });

  it("are those of the topic's own setting, too", async () => {
    await start({ produceBytesPerSecond: BigInt(RATE) });
    const results = await append('any', ...twelveEntries());
    expect(results.map(reasonOf)).toContain('QUOTA_EXCEEDED');
  });

  it('keep a frame of a stream from overtaking the one before, and other partitions go on', async () => {
    await start();
    await tell({ topic: 't', produceBytesPerSecond: BigInt(RATE) });
    const answered: [bigint, string][] = [];
    const stream = openBidi<AppendStreamRequest, AppendStreamResponse>(
      clientOf('streamer'),
      BrokerServiceService.appendStream,
      {
        onMessage: ({ message }) => {
          if (message?.$case === 'result') answered.push([message.result.frameId, reasonOf(message.result.results[0])]);
        },
      },
    );
    stream.send({ message: { $case: 'initial', initial: {} } });
    const send = (frameId: number, topic: string) => {
      const append = { frameId: BigInt(frameId), entries: [entryFor(topic, batch(String(frameId)))], timeoutMs: 0 };
      stream.send({ message: { $case: 'append', append } });
    };
    for (let frameId = 0; frameId < 7; frameId += 1) send(frameId, 't');
    send(100, 'free');
    await expect.poll(() => answered.length, { timeout: 5000 }).toBe(8);
    stream.cancel();
    const ofT = answered.filter(([frameId]) => frameId < 100n);
    expect(ofT).toEqual(Array.from({ length: 7 }, (_, index) => [BigInt(index), 'ack']));
    expect(answered.findIndex(([frameId]) => frameId === 100n)).toBeLessThan(7);
    const { recordBatches } = await broker!.fetch({ topic: 't', offset: 0n });
    const text = Buffer.from(recordBatches).toString('latin1');
    expect([...text.matchAll(/(\d) vvvv/g)].map(([, name]) => name)).toEqual(['0', '1', '2', '3', '4', '5', '6']);
  });
});

describe('reading beyond a quota', () => {
  async function filled(): Promise<number> {
    await start();
    for (let count = 0; count < 12; count += 1) await broker!.appendOk(entryFor('t', batch(String(count))));
    await tell({ topic: 't', consumeBytesPerSecond: BigInt(RATE) });
    return 13;
  }

  it('is slower on a stream, and complete', async () => {
    const end = await filled();
    const beganMs = performance.now();
    let offset = 0n;
    const stream = openBidi<
      FetchStreamRequest,
      { message?: { $case: string; data?: { partition?: { nextOffset: bigint } } } }
    >(clientOf('partita-consumer-group'), BrokerServiceService.fetchStream as never, {
      onMessage: ({ message }) => {
        if (message?.$case === 'data') offset = message.data?.partition?.nextOffset ?? offset;
      },
    });
    stream.send({ message: { $case: 'initial', initial: { credit: { bytes: 10_000_000n } } } });
    stream.send({ message: { $case: 'start', start: { startId: 1n, partitions: [wanted({ topic: 't' })] } } });
    await expect.poll(() => offset, { timeout: 8000 }).toBe(BigInt(end));
    stream.cancel();
    expect((performance.now() - beganMs) / 1000).toBeGreaterThan(1);
  });

  it('is slower by calls, each of which is answered in good time without an error', async () => {
    const end = await filled();
    const client = clientOf('caller');
    const beganMs = performance.now();
    let offset = 0n;
    let longestMs = 0;
    while (offset < BigInt(end)) {
      const askedMs = performance.now();
      const request = { maxBytes: 0, minBytes: 1, maxWaitMs: 500, partitions: [wanted({ topic: 't', offset })] };
      const { partitions } = await callUnary(client, BrokerServiceService.fetch, request);
      longestMs = Math.max(longestMs, performance.now() - askedMs);
      expect(partitions[0]?.error).toBeUndefined();
      offset = partitions[0]!.nextOffset;
    }
    expect((performance.now() - beganMs) / 1000).toBeGreaterThan(1);
    expect(longestMs).toBeLessThan(3000);
  });
});
