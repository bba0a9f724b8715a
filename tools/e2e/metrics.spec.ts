/** Metrics of a cluster as `npm start` runs it: an endpoint for each service, and the file that leads Prometheus there. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { request } from 'node:http';
import { INSTRUMENTS_BY_SERVICE, prometheusName } from '@partita/telemetry';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { figure } from './figures.ts';
import { startCluster } from './harness.ts';
import type { Cluster } from './harness.ts';

interface TargetGroup {
  readonly targets: readonly string[];
  readonly labels: { readonly service: string; readonly instance: string };
}

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster({ brokers: 2, traces: true, metrics: true });
});
afterAll(() => cluster.dispose());

const targetsPath = () => join(cluster.home, 'prometheus-targets.json');
const groups = () => JSON.parse(readFileSync(targetsPath(), 'utf8')) as TargetGroup[];

async function scrape(address: string): Promise<string> {
  const response = await fetch(`http://${address}/metrics`);
  expect(response.status).toBe(200);
  return response.text();
}

it('names the endpoint of every service in cluster.json, and in the form of file_sd', () => {
  const names = ['coordinator-1', 'broker-1', 'broker-2', 'gateway', 'consumer-group', 'console'];
  expect(Object.keys(cluster.file.metrics ?? {})).toEqual(names);
  expect(groups().map(({ labels }) => labels)).toEqual([
    { service: 'coordinator', instance: 'coordinator-1' },
    { service: 'broker', instance: 'broker-1' },
    { service: 'broker', instance: 'broker-2' },
    { service: 'producer-gateway', instance: 'gateway' },
    { service: 'consumer-group', instance: 'consumer-group' },
    { service: 'console', instance: 'console' },
  ]);
  expect(groups().flatMap(({ targets }) => targets)).toEqual(Object.values(cluster.file.metrics ?? {}));
  expect(cluster.launcher.output).toContain(`6 endpoints in ${cluster.home}/prometheus-targets.json`);
});

it('answers at each of them with what every service has, and with what that service has', async () => {
  const common = INSTRUMENTS_BY_SERVICE.find(({ service }) => service === 'every service')?.rows ?? {};
  for (const { targets, labels } of groups()) {
    const text = await scrape(targets[0] ?? '');
    expect(text).toMatch(new RegExp(`^partita_build_info\\{service="${labels.service}",version="[^"]+"\\} 1$`, 'm'));
    for (const [name, row] of Object.entries(common)) {
      // Series by method: not every service has unary calls, or streams, from the start.
      if (row.labels !== undefined && 'method' in row.labels) continue;
      expect(text, labels.service).toContain(`# TYPE ${prometheusName(name, row)} ${row.kind}\n`);
    }
  }
  const [broker] = groups().filter(({ labels }) => labels.service === 'broker');
  expect(await scrape(broker?.targets[0] ?? '')).toMatch(/^partita_broker_coordinator_connected 1$/m);
});

it('answers nobody who calls it by another name', async () => {
  const [host = '', port] = (Object.values(cluster.file.metrics ?? {})[0] ?? '').split(':');
  const status = await new Promise((resolve, reject) => {
    const options = { host, port, path: '/metrics', headers: { host: 'partita.example' } };
    request(options, (response) => {
      response.resume();
      resolve(response.statusCode);
    })
      .on('error', reject)
      .end();
  });
  expect(status).toBe(421);
});

it('answers quickly, the first time too', async () => {
  const address = cluster.file.metrics?.['broker-1'] ?? '';
  const begin = performance.now();
  await scrape(address);
  figure('metrics', 'milliseconds of a scrape of a broker', performance.now() - begin);
});

it('leaves no targets behind when it stops', async () => {
  await cluster.stop();
  expect(existsSync(targetsPath())).toBe(false);
});
