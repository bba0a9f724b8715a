/**
 * Producing exactly once, under a checked history: gateways, leaders and clients are killed, and a gateway stands still until it
 * has been given up, and then sends what it still had. No record is stored twice, none of a session is left out or overtaken,
 * and of a request that was sent again and again there is one copy.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { RecordBatch, Topic } from '@partita/protocol';
import { uuidV7 } from '@partita/runtime';
import type { ClientProcesses } from '@partita/tool-history/clients/client-processes.ts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Api } from './api.ts';
import { figure } from './figures.ts';
import { startCluster } from './harness.ts';
import type { Cluster } from './harness.ts';
import { produceBatch } from './produce-batch.ts';
import { killNow } from './processes.ts';
import { redisBinary } from './redis-binary.ts';
import { faultsInGate, LONG } from './root.ts';
import { stockBatch } from './stock-batch.ts';
import { until } from './until.ts';
import { WatchedProducers } from './watched-producers.ts';

const PARTITION_COUNT = 4;
const GATEWAY_COUNT = 2;
const CLIENT_COUNT = 2;
const QUIET_MS = LONG ? 4000 : 1500;
/** Longer than clients wait for a gateway that is silent. */
const STOPPED_MS = LONG ? 14_000 : 11_500;
const ROUND_COUNT = LONG ? 6 : 1;
const TEST_MS_MAX = LONG ? 900_000 : 90_000;
const hasRedis = typeof (await redisBinary()) !== 'string';
let cluster: Cluster;
beforeAll(async () => {
  const coordinators = hasRedis ? ['--coordinators', '2'] : [];
  cluster = await startCluster({ args: ['--gateways', String(GATEWAY_COUNT), ...coordinators] });
});
afterAll(() => cluster.dispose());

async function killGateways(indexes: readonly number[]): Promise<void> {
  const killed = indexes.flatMap((index) => cluster.file.pids.gateway[index] ?? []);
  killNow(killed);
  await until('the gateways to be back', 60, () => {
    const { gateway: pids } = cluster.file.pids;
    return pids.length === GATEWAY_COUNT && !pids.some((pid) => killed.includes(pid));
  });
}

async function killBusiestLeader({ topic }: WatchedProducers): Promise<void> {
  const id = await topic.busiestLeader();
  const pidNow = (): number => cluster.file.brokers.find((broker) => broker.id === id)?.pid ?? 0;
  const pid = pidNow();
  killNow([pid]);
  await until('the leader to be back', 60, () => pidNow() !== 0 && pidNow() !== pid);
}

/** The gateway stands still until clients have given it up, while more happens; then it goes on with what it had. */
async function stopGateway(index: number, meanwhile: () => Promise<void>): Promise<void> {
  const pid = cluster.file.pids.gateway[index] ?? 0;
  process.kill(pid, 'SIGSTOP');
  try {
    await Promise.all([sleep(STOPPED_MS), sleep(QUIET_MS).then(meanwhile)]);
  } finally {
    process.kill(pid, 'SIGCONT');
  }
}

type Fault = (clients: ClientProcesses, producers: WatchedProducers, round: number) => Promise<void>;

/** Of the long form, each again and again. */
const FAULTS: Readonly<Record<string, Fault>> = {
  'a gateway is killed': (_clients, _producers, round) => killGateways([round % GATEWAY_COUNT]),
  'the leader of a busy partition is killed': async (_clients, producers) => {
    await killBusiestLeader(producers);
    await producers.topic.untilInSync(3);
  },
  'a process of clients is killed': (clients) => clients.killNext(),
  'a gateway stands still, and clients are killed': (clients, _producers, round) =>
    stopGateway(round % GATEWAY_COUNT, () => clients.killNext()),
  'a gateway stands still, and a leader is killed': (_clients, producers, round) =>
    stopGateway(round % GATEWAY_COUNT, () => killBusiestLeader(producers)),
  'all gateways are killed at once': () => killGateways([0, 1]),
};

/** The batch of a session that began so long ago. */
function sessionBatch(value: string, ageMs: number): RecordBatch {
  const producerId = Buffer.from(uuidV7(Date.now() - ageMs).replaceAll('-', ''), 'hex');
  return { ...stockBatch([{ value }]), producerId, producerEpoch: 0, firstSequence: 0n };
}

describe('a retry that is older than what the leader remembers', () => {
  const HOUR_MS = 3_600_000;
  let api: Api;
  let topic: Topic;
  beforeAll(async () => {
    api = new Api(cluster);
    topic = await until('the topic', 20, () => api.createTopic('old', 1));
    await until('its leader', 20, async () => (await api.partition('old', 0)).leaderAddress !== '');
  });
  afterAll(() => api.close());

  it('is refused by the leader, when it is of a session, and one that is not is stored once', async () => {
    expect(await api.appendBatch(topic, 0, sessionBatch('too old', 12.1 * HOUR_MS))).toBe('PRODUCER_EXPIRED');
    const batch = sessionBatch('of the leader', 11.9 * HOUR_MS);
    expect(await api.appendBatch(topic, 0, batch)).toBe('stored');
    expect(await api.appendBatch(topic, 0, batch)).toBe('stored');
    const [values = []] = await api.readValues('old', 1);
    expect(values).not.toContain('too old');
    expect(values.filter((value) => value === 'of the leader')).toHaveLength(1);
  });

  it('is refused, when it is a request with an id, and one that is not is answered with the first copy', async () => {
    const produce = async (value: string, ageMs: number, requestId = uuidV7(Date.now() - ageMs)) => {
      const { results } = await api.produce('old', [{ value }], { requestId });
      const outcome = results[0]?.outcome;
      return outcome?.$case === 'ack' ? outcome.ack : undefined;
    };
    await expect(produce('too old a request', 5.1 * 60_000)).rejects.toMatchObject({ reason: 'PRODUCER_EXPIRED' });
    const requestId = uuidV7(Date.now() - 4.9 * 60_000);
    const first = await produce('request', 0, requestId);
    const repeat = await produce('request', 0, requestId);
    expect(repeat).toMatchObject({ duplicate: true, baseOffset: first?.baseOffset });
    const [values = []] = await api.readValues('old', 1);
    expect(values).not.toContain('too old a request');
    expect(values.filter((value) => value === 'request')).toHaveLength(1);
  });

  it('is refused through a gateway, when it is of a session, and one that is not is stored once through two of them', async () => {
    const [first = '', second = ''] = cluster.file.gateways;
    expect(await produceBatch(first, 'old', sessionBatch('too old', 12.1 * HOUR_MS))).toBe('PRODUCER_EXPIRED');
    const batch = sessionBatch('of gateways', 11.9 * HOUR_MS);
    expect(await produceBatch(first, 'old', batch)).toBe('stored');
    expect(await produceBatch(second, 'old', batch)).toBe('stored as a duplicate');
    const [values = []] = await api.readValues('old', 1);
    expect(values).not.toContain('too old');
    expect(values.filter((value) => value === 'of gateways')).toHaveLength(1);
  });
});

describe('under a checked history, everything is stored once and in order, when', () => {
  it.runIf(faultsInGate('producers'))(
    'gateways are killed, one of them and all, and one stands still while clients and a leader are killed',
    async () => {
      const producers = new WatchedProducers(() => cluster, 'watched', PARTITION_COUNT, { clientCount: CLIENT_COUNT });
      await producers.workDuring('each fault once', async (clients) => {
        await sleep(QUIET_MS);
        await killGateways([0]);
        await sleep(QUIET_MS);
        await stopGateway(1, async () => {
          await clients.killNext();
          await killBusiestLeader(producers);
        });
        await sleep(QUIET_MS);
        await killGateways([0, 1]);
      });
    },
    TEST_MS_MAX,
  );

  it.runIf(LONG).each(Object.entries(FAULTS))(
    '%s, again and again',
    async (what, fault) => {
      const name = `watched-${Object.keys(FAULTS).indexOf(what)}`;
      const producers = new WatchedProducers(() => cluster, name, PARTITION_COUNT, { clientCount: CLIENT_COUNT });
      await producers.workDuring(what, async (clients) => {
        for (let round = 0; round < ROUND_COUNT; round += 1) {
          await sleep(QUIET_MS);
          await fault(clients, producers, round);
        }
      });
      figure('producers', `${what}: rounds`, ROUND_COUNT);
    },
    TEST_MS_MAX,
  );
});
