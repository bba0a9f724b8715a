/** What Prometheus sees of a cluster, by the configuration, the rules and the dashboard that we ship. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DASHBOARD } from '@partita/tool-monitoring/dashboard.ts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Api } from './api.ts';
import { outputOf, partita } from './command.ts';
import { newHome, startCluster } from './harness.ts';
import type { Cluster } from './harness.ts';
import { PrometheusServer, whyNoPrometheus } from './prometheus-server.ts';
import { until } from './until.ts';

const TOPIC = 'measured';
const GROUP = 'readers';
const RECORD_COUNT = 200;
const MORE_COUNT = 50;

/** Panels of what a healthy cluster without quotas does not do: they may be empty. */
const QUIET_PANELS = [
  ...['Errors', 'Errors by reason', 'Append errors by reason', 'Appends tried again'],
  ...['Shed requests', 'Held by quotas', 'Refused by quotas'],
];

const reason = whyNoPrometheus();

describe.skipIf(reason !== undefined)(`Prometheus${reason === undefined ? '' : ` (${reason})`}`, () => {
  let cluster: Cluster;
  let api: Api;
  let prometheus: PrometheusServer;
  const cli = (args: readonly string[], input = ''): Promise<string> =>
    outputOf(partita(['--server', cluster.addresses.gateway, ...args], { input, env: { PARTITA_HOME: cluster.home } }));
  const lines = (count: number): string =>
    Array.from({ length: count }, (_, index) => `${JSON.stringify({ key: `k${index}`, value: 'measured' })}\n`).join(
      '',
    );
  const sumOf = (name: string, matchers = `topic="${TOPIC}"`) => prometheus.value(`sum(${name}{${matchers}})`);

  /** Resolves when every target was scraped after what has happened until now. */
  const allScraped = async (): Promise<void> => {
    const nowS = Date.now() / 1000;
    const oldest = 'min(timestamp(up{job="partita"}))';
    await until('a scrape of every target', 30, async () => ((await prometheus.value(oldest)) ?? 0) > nowS);
  };

  beforeAll(async () => {
    const home = newHome();
    const brokerConfig = join(home, 'broker.json');
    writeFileSync(brokerConfig, JSON.stringify({ 'metrics-partitions': true }));
    cluster = await startCluster({ home, traces: true, metrics: true, args: ['--broker-config', brokerConfig] });
    api = new Api(cluster);
    prometheus = await PrometheusServer.start(cluster.home);
    await cli(['topic', 'create', TOPIC, '--partitions', '3', '--replication-factor', '3']);
    await cli(['produce', TOPIC, '--trace'], lines(RECORD_COUNT));
    await cli(['consume', TOPIC, '--group', GROUP, '--max', String(RECORD_COUNT)]);
    // What nobody reads yet: the service looks for it every ten seconds, so that its wait begins here.
    await cli(['produce', TOPIC], lines(MORE_COUNT));
  });
  afterAll(async () => {
    api.close();
    await prometheus.stop();
    await cluster.dispose();
  });

  it('scrapes every process that `npm start` runs', async () => {
    const names = Object.keys(cluster.file.metrics ?? {}).sort();
    expect(names).toHaveLength(7);
    await until('all targets to be up', 20, async () => {
      const targets = await prometheus.targets();
      if ([...targets.values()].some((health) => health !== 'up')) throw new Error(JSON.stringify([...targets]));
      return targets.size === names.length;
    });
    expect([...(await prometheus.targets()).keys()].sort()).toEqual(names);
    const services = await prometheus.query('count by (service) (partita_build_info)');
    const expected = { broker: 3, console: 1, 'consumer-group': 1, coordinator: 1, 'producer-gateway': 1 };
    expect(Object.fromEntries(services.map(({ labels, value }) => [labels['service'], value]))).toEqual(expected);
  });

  it('counts each record once where it was taken, appended and delivered', async () => {
    await allScraped();
    expect(await sumOf('partita_group_delivered_records_total')).toBe(RECORD_COUNT);
    expect(await sumOf('partita_broker_append_records_total')).toBe(RECORD_COUNT + MORE_COUNT);
    expect(await sumOf('partita_broker_fetch_records_total')).toBeGreaterThanOrEqual(RECORD_COUNT);
    const batches = await sumOf('partita_broker_append_batches_total');
    expect(batches).toBeGreaterThanOrEqual(3);
    // The CLI builds batches itself: the gateway passes them on.
    expect(await sumOf('partita_gateway_produce_records_total')).toBe(RECORD_COUNT + MORE_COUNT);
    expect(await sumOf('partita_gateway_produce_duration_seconds_count', 'form="batch"')).toBe(batches);
    expect(await sumOf('partita_partition_high_watermark')).toBeGreaterThanOrEqual(RECORD_COUNT);
    expect(await sumOf('partita_group_commits_total', `group="${GROUP}"`)).toBeGreaterThan(0);
    expect(await sumOf('partita_group_rebalances_total', `group="${GROUP}"`)).toBeGreaterThan(0);
    expect(await sumOf('partita_group_shards', '')).toBe(16);
    expect(await sumOf('partita_coordinator_active', '')).toBe(1);
    expect(await sumOf('partita_coordinator_brokers', 'state="up"')).toBe(3);
    expect(await sumOf('partita_console_spans_total', 'outcome="kept"')).toBeGreaterThan(0);
    const fsync = 'partita_broker_log_write_duration_seconds_count{flush="fsync"}';
    expect(await prometheus.value(`count(${fsync} > 0)`)).toBe(3);
  });

  it('sees how far a group is behind when nobody reads for it', async () => {
    const labels = `group="${GROUP}",topic="${TOPIC}"`;
    await until('the lag', 30, async () => (await sumOf('partita_group_lag_records', labels)) === MORE_COUNT);
    expect(await sumOf('partita_group_lag_age_seconds', labels)).toBeGreaterThan(0);
    expect(await sumOf('partita_group_lag_bytes', labels)).toBeGreaterThan(0);
    expect(await sumOf('partita_group_members', `group="${GROUP}"`)).toBe(0);
    await cli(['consume', TOPIC, '--group', GROUP, '--max', String(MORE_COUNT)]);
    await until('the lag to be gone', 30, async () => (await sumOf('partita_group_lag_records', labels)) === 0);
  });

  it('evaluates every rule, and none of a healthy cluster fires', async () => {
    const rules = await prometheus.rules();
    expect(rules.length).toBeGreaterThan(20);
    expect(rules.filter(({ lastError }) => lastError !== '')).toEqual([]);
    expect(rules.filter(({ state }) => state === 'firing')).toEqual([]);
  });

  it('has something to show in every panel of the dashboard', async () => {
    const variables: Readonly<Record<string, string>> = {
      $__rate_interval: '1m',
      $job: 'partita',
      $instance: '.*',
      $topic: '.*',
      $group: '.*',
    };
    const panels = DASHBOARD.rows.flatMap(({ title, panels: row }) => row.map((panel) => ({ row: title, ...panel })));
    const empty: string[] = [];
    for (const { row, title, queries } of panels) {
      for (const { expr } of queries) {
        const text = Object.entries(variables).reduce((filled, [name, value]) => filled.replaceAll(name, value), expr);
        const samples = await prometheus.query(text);
        if (samples.length === 0 && !QUIET_PANELS.includes(title)) empty.push(`${row} / ${title}: ${text}`);
      }
    }
    expect(empty).toEqual([]);
  });
});
