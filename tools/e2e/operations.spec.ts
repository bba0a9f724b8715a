/**
 * What services do by themselves, as an OTLP collector and their logs show it: starts, elections, rebalances, recoveries; and
 * nothing while nothing happens. The level of their logs, changed while they run.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { OtlpSink } from '@partita/testkit';
import type { ReceivedSpan } from '@partita/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Api } from './api.ts';
import { outputOf, partita } from './command.ts';
import { startCluster } from './harness.ts';
import type { Cluster } from './harness.ts';
import { killNow } from './processes.ts';
import { until } from './until.ts';

const TOPIC = 'operated';
const SECONDS_MAX = 20;
/** Three heartbeats of every kind, and more; until then what was before has ended. */
const IDLE_MS = 3500;
const SETTLE_MS = 1500;
let sink: OtlpSink;
let cluster: Cluster;
let api: Api;

beforeAll(async () => {
  sink = await OtlpSink.start();
  cluster = await startCluster({
    traces: true,
    env: {
      OTEL_EXPORTER_OTLP_ENDPOINT: sink.endpoint,
      OTEL_BSP_SCHEDULE_DELAY: '100',
      // As the launcher sets it for its own console: calls begin no traces.
      OTEL_TRACES_SAMPLER: 'parentbased_always_off',
    },
  });
  api = new Api(cluster);
  await api.createTopic(TOPIC, 2);
});
afterAll(async () => {
  api.close();
  await cluster.dispose();
  sink.stop();
});

const cli = (args: readonly string[], input = ''): Promise<string> =>
  outputOf(partita(['--server', cluster.addresses.coordinator, ...args], { input }));

function logOf(name: string): Readonly<Record<string, unknown>>[] {
  const lines = readFileSync(join(cluster.home, 'logs', `${name}.log`), 'utf8').split('\n');
  return lines.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** The names below a span, `service: name`. */
function below(span: ReceivedSpan): string[] {
  return sink.spans
    .filter(({ parentSpanId }) => parentSpanId === span.spanId)
    .map(({ service, name }) => `${service.replace('partita-', '')}: ${name}`);
}

const roots = (name: string): ReceivedSpan[] =>
  sink.spans.filter((span) => span.name === name && span.parentSpanId === '');

function electionsOf(topic: string): ReceivedSpan[] {
  return roots('elect').filter(({ attributes }) => attributes['partita.topics']?.includes(topic));
}

describe('an operation is a trace of its own though calls begin none', () => {
  it('the start of each broker, phase by phase', async () => {
    const starts = await until('the starts', SECONDS_MAX, () => {
      const found = roots('recover broker');
      expect(found).toHaveLength(3);
      return found;
    });
    for (const start of starts) {
      expect(below(start)).toEqual(['broker: journal', 'broker: logs', 'broker: coordinator session']);
      expect(start.error).toBe(false);
    }
  });

  it('the recovery of each group shard', async () => {
    const recoveries = await until('the recoveries', SECONDS_MAX, () => {
      const found = roots('recover group shard').filter(({ error }) => !error);
      expect(new Set(found.map(({ attributes }) => attributes['partita.shard'])).size).toBe(16);
      return found;
    });
    expect(below(recoveries[0]!)).toEqual(['consumer-group: claim', 'consumer-group: replay']);
  });

  it('the election after a leader has died, down to what the other brokers do, with the line of the log in it', async () => {
    const { leaderEpoch, leaderAddress } = await api.partition(TOPIC, 0);
    const { pid } = cluster.file.brokers.find(({ address }) => address === leaderAddress) ?? { pid: 0 };
    const beganNanos = BigInt(Date.now()) * 1_000_000n;
    killNow([pid]);
    const elect = await until('the election', SECONDS_MAX, () => {
      const found = electionsOf(TOPIC).find(({ error, startNanos }) => !error && startNanos > beganNanos);
      if (found === undefined) throw new Error('there is none');
      const trace = sink.trace(found.traceId).map(({ service, name }) => `${service} ${name}`);
      for (const part of ['partita-broker grant promises', 'partita-broker begin epochs'])
        expect(trace).toContain(part);
      return found;
    });
    expect(elect.attributes).toMatchObject({ 'partita.operation': 'elect', 'partita.reason': 'leader_missing' });
    expect(below(elect)).toEqual(expect.arrayContaining(['coordinator: promise', 'coordinator: lead']));
    // Every parent is there: one connected trace.
    const trace = sink.trace(elect.traceId);
    const ids = new Set(trace.map(({ spanId }) => spanId));
    expect(trace.filter(({ parentSpanId }) => parentSpanId !== '' && !ids.has(parentSpanId))).toEqual([]);

    const line = await until('the line of the new leader', SECONDS_MAX, () =>
      logOf('coordinator-1').find(({ msg, trace_id: id }) => msg === 'partition has a leader' && id === elect.traceId),
    );
    expect(line).toMatchObject({ level: 'info', topic: TOPIC, in_sync: expect.any(Array) as [] });
    expect(Number(line['epoch'])).toBeGreaterThan(leaderEpoch);
  });

  it('the rebalance that a member sets off', async () => {
    await cli(['produce', TOPIC], '{"value": "a"}\n');
    await cli(['consume', TOPIC, '--group', 'operators', '--max', '1', '--json']);
    const rebalance = await until('the rebalance', SECONDS_MAX, () => {
      const [found] = roots('rebalance operators');
      if (found === undefined) throw new Error('there is none');
      expect(below(found)).toContain('consumer-group: assign');
      return found;
    });
    expect(rebalance.attributes).toMatchObject({ 'partita.reason': 'member_joined', 'partita.member_count': '1' });
    const lines = await until('the lines of the group', SECONDS_MAX, () => {
      const found = logOf('consumer-group').filter(({ group }) => group === 'operators');
      return found.length >= 2 ? found : undefined;
    });
    expect(lines.map(({ msg }) => msg)).toEqual(['group is stable', 'group is empty']);
    expect(lines[0]?.['trace_id']).toBe(rebalance.traceId);
  });

  it('and nothing else: while nothing happens there is no trace', async () => {
    // A leader whose broker was killed would go back to it in between.
    await cli(['cluster', 'settings', '--auto-balance', 'off']);
    await sleep(SETTLE_MS);
    const before = sink.spans.length;
    await sleep(IDLE_MS);
    expect(sink.spans.slice(before).map(({ service, name }) => `${service}: ${name}`)).toEqual([]);
    const others = sink.spans.filter(
      ({ parentSpanId, attributes }) => parentSpanId === '' && attributes['partita.operation'] === undefined,
    );
    expect(others.map(({ service, name }) => `${service}: ${name}`)).toEqual([]);
  });
});

describe('the level of a log', () => {
  it('is changed while the services run, and is that of the configuration again after SIGHUP', async () => {
    const levels = async (...args: string[]): Promise<Record<string, unknown>[]> =>
      (
        await outputOf(
          partita(['log-level', '--json', ...args], { env: { PARTITA_SERVER: cluster.addresses.gateway } }),
        )
      )
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as Record<string, unknown>);
    const shown = await levels();
    expect(new Set(shown.map(({ service }) => service))).toEqual(
      new Set(['coordinator', 'broker', 'gateway', 'consumer-group']),
    );
    expect(new Set(shown.map(({ level }) => level))).toEqual(new Set(['info']));
    const changed = await levels('debug', '--service', 'consumer-group');
    expect(changed).toMatchObject([{ service: 'consumer-group', level: 'debug', previous: 'info' }]);
    const said = await until('the line of the change', SECONDS_MAX, () =>
      logOf('consumer-group').find(({ msg }) => msg === 'log level changed'),
    );
    expect(said).toMatchObject({ from: 'info', to: 'debug', clientId: 'partita-cli' });
    for (const pid of cluster.file.pids.consumerGroup) process.kill(pid, 'SIGHUP');
    await until('the level of before', SECONDS_MAX, async () => {
      expect(await levels('--service', 'consumer-group')).toMatchObject([{ level: 'info' }]);
      return true;
    });
  });
});
