import { HEARTBEAT_MS, PartitaError, PEER_PROTOCOL_VERSION, STREAM_SILENCE_MS_MAX } from '@partita/domain';
import type { Random } from '@partita/domain';
import { InstanceSessionServiceService, ServiceKind } from '@partita/protocol';
import type { InstanceSessionRequest, InstanceSessionResponse } from '@partita/protocol';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { closeAll, pool, serve } from '../loopback.fixture.ts';
import { bidi, implement } from '../server/methods.ts';
import type { ServerBidiStream } from '../server/methods.ts';
import { keepInstanceSessions } from './instance-session.ts';
import type { InstanceSessions, InstanceSessionsOptions } from './instance-session.ts';

type Message = NonNullable<InstanceSessionRequest['message']>;

const CLUSTER_ID = '00000000-0000-7000-8000-00000000000c';
const lowest: Random = { next: () => 0, uuid: () => '' };
const instance = {
  service: ServiceKind.SERVICE_KIND_GATEWAY,
  instanceId: '00000000-0000-7000-8000-000000000001',
  address: '127.0.0.1:1',
  version: '0.1.0',
};

const open: InstanceSessions[] = [];

afterEach(() => {
  vi.useRealTimers();
  for (const sessions of open.splice(0)) sessions.close();
  closeAll();
});

/** A coordinator that keeps what it hears, and answers `register` as told; by default it accepts. */
class Coordinator {
  readonly sessions: { readonly heard: Message[]; readonly stream: ServerBidiStream<InstanceSessionResponse> }[] = [];
  /** Monotonic time of each `register`. */
  readonly registeredMs: number[] = [];
  onRegister = (stream: ServerBidiStream<InstanceSessionResponse>): void => void stream.send(accepted());
  address = '';

  get last(): Coordinator['sessions'][number] | undefined {
    return this.sessions.at(-1);
  }

  async start(): Promise<this> {
    const methods = implement(InstanceSessionServiceService, {
      instanceSession: bidi((stream) => {
        const session = { heard: [] as Message[], stream };
        this.sessions.push(session);
        return {
          onMessage: ({ message }) => {
            if (message === undefined) return;
            session.heard.push(message);
            if (message.$case !== 'register') return;
            this.registeredMs.push(performance.now());
            this.onRegister(stream);
          },
        };
      }),
    });
    ({ address: this.address } = await serve(InstanceSessionServiceService, methods, { limits: 'peer' }));
    return this;
  }
}

function accepted(clusterId = CLUSTER_ID): InstanceSessionResponse {
  const answer = { clusterId, coordinatorRunId: 'run', heartbeatMs: HEARTBEAT_MS, active: true };
  return { message: { $case: 'accepted', accepted: answer } };
}

function keep(coordinators: readonly Coordinator[], options: Partial<InstanceSessionsOptions> = {}) {
  const seen = { accepted: 0, refused: [] as string[], broken: [] as (string | undefined)[], shards: [] as number[] };
  const sessions = keepInstanceSessions({
    pool: pool(),
    random: lowest,
    coordinators: coordinators.map(({ address }) => address),
    clusterId: '',
    instance,
    onAccepted: () => void (seen.accepted += 1),
    onShards: ({ shardCount }) => void seen.shards.push(shardCount),
    onRefused: ({ reason }) => void seen.refused.push(reason),
    onBroken: (_coordinator, error) => void seen.broken.push(error?.reason),
    ...options,
  });
  open.push(sessions);
  return { sessions, seen };
}

const until = (condition: () => boolean) => vi.waitUntil(condition, { timeout: 5000, interval: 5 });

describe('the sessions of an instance', () => {
  test('register with every coordinator and beat with the shards owned', async () => {
    const both = [await new Coordinator().start(), await new Coordinator().start()];
    const { seen } = keep(both, { ownedShards: () => [{ shard: 3, claimEpoch: 7 }] });
    await until(() => both.every(({ last }) => (last?.heard.length ?? 0) >= 2));
    expect(seen.accepted).toBe(2);
    for (const { last } of both) {
      expect(last?.heard[0]).toMatchObject({
        register: { ...instance, clusterId: '', protocolVersion: PEER_PROTOCOL_VERSION },
      });
      expect(last?.heard[1]).toMatchObject({
        heartbeat: { draining: false, ownedShards: [{ shard: 3, claimEpoch: 7 }] },
      });
    }
  });

  test('pass on which shards are whose', async () => {
    const coordinator = await new Coordinator().start();
    coordinator.onRegister = (stream) => {
      stream.send(accepted());
      stream.send({ message: { $case: 'shards', shards: { shardCount: 5, shards: [] } } });
    };
    const { seen } = keep([coordinator]);
    await until(() => seen.shards.length === 1);
    expect(seen.shards).toEqual([5]);
  });

  test('are opened again after a pause, with the cluster id that was learnt', async () => {
    const coordinator = await new Coordinator().start();
    const { seen } = keep([coordinator]);
    await until(() => seen.accepted === 1);
    coordinator.last?.stream.end(new PartitaError('SHUTTING_DOWN', 'this coordinator is stopping'));
    await until(() => seen.accepted === 2);
    expect(seen.broken).toEqual(['SHUTTING_DOWN']);
    expect(coordinator.last?.heard[0]).toMatchObject({ register: { clusterId: CLUSTER_ID } });
  });

  test('leave a pause even when the coordinator accepts and breaks at once', async () => {
    const coordinator = await new Coordinator().start();
    coordinator.onRegister = (stream) => {
      stream.send(accepted());
      stream.end();
    };
    keep([coordinator]);
    await until(() => coordinator.registeredMs.length === 4);
    const [first, , , fourth] = coordinator.registeredMs;
    expect(fourth! - first!).toBeGreaterThanOrEqual(3 * 45);
  });

  test.each(['WRONG_CLUSTER', 'VERSION_NOT_SUPPORTED'] as const)(
    'stop asking after %s and tell it once',
    async (why) => {
      const both = [await new Coordinator().start(), await new Coordinator().start()];
      for (const coordinator of both)
        coordinator.onRegister = (stream) => stream.end(new PartitaError(why, 'not here', { cluster_id: CLUSTER_ID }));
      const { seen } = keep(both);
      await until(() => seen.refused.length === 1 && both.every(({ registeredMs }) => registeredMs.length === 1));
      await new Promise((resolve) => setTimeout(resolve, 200));
      expect(seen).toMatchObject({ refused: [why], broken: [] });
      expect(both.map(({ registeredMs }) => registeredMs.length)).toEqual([1, 1]);
    },
  );

  test('tell at once that the instance drains, and again after a reconnect', async () => {
    const coordinator = await new Coordinator().start();
    const { sessions, seen } = keep([coordinator]);
    await until(() => seen.accepted === 1);
    await until(() => coordinator.last?.heard.length === 2);
    expect(coordinator.last?.heard[1]).toMatchObject({ heartbeat: { draining: false } });
    sessions.drain();
    await until(() => coordinator.last?.heard.length === 3);
    expect(coordinator.last?.heard[2]).toMatchObject({ heartbeat: { draining: true } });
    coordinator.last?.stream.end();
    await until(() => seen.accepted === 2 && coordinator.last?.heard.length === 2);
    expect(coordinator.last?.heard[1]).toMatchObject({ heartbeat: { draining: true } });
  });

  test('give up a coordinator that says nothing', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
    const coordinator = await new Coordinator().start();
    coordinator.onRegister = () => {};
    const { seen } = keep([coordinator]);
    await until(() => coordinator.sessions.length === 1);
    vi.advanceTimersByTime(STREAM_SILENCE_MS_MAX + 2 * HEARTBEAT_MS);
    await until(() => coordinator.sessions.length === 2);
    expect(seen.broken).toEqual(['CANCELLED']);
  });

  test('end with close, and are not opened again', async () => {
    const coordinator = await new Coordinator().start();
    const { sessions, seen } = keep([coordinator]);
    await until(() => seen.accepted === 1);
    sessions.close();
    await new Promise((resolve) => setTimeout(resolve, 150));
    expect(coordinator.sessions).toHaveLength(1);
    expect(seen.broken).toEqual([]);
  });
});
