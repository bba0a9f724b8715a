/** A real Prometheus beside a cluster: the configuration that we ship, with its files of this cluster and without its waits. */
import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freeLoopbackPort } from '@partita/tool-dev/redis-server.ts';
import { ROOT } from './root.ts';
import { until, within } from './until.ts';

const MONITORING = join(ROOT, 'docs/monitoring');
const SCRAPE_SECONDS = 1;
const START_SECONDS_MAX = 20;
const STOP_SECONDS_MAX = 10;

/** Why no Prometheus can be started, or undefined. */
export function whyNoPrometheus(): string | undefined {
  const { error } = spawnSync('prometheus', ['--version']);
  return error === undefined ? undefined : 'prometheus is not on this machine: apt-get install prometheus';
}

/** A value of an instant query, with the labels that the query left. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export class PrometheusServer {
  readonly #child: ChildProcess;
  readonly #folder: string;
  readonly #address: string;
  #output = '';

  private constructor(child: ChildProcess, folder: string, address: string) {
    this.#child = child;
    this.#folder = folder;
    this.#address = address;
    child.stderr?.setEncoding('utf8').on('data', (chunk: string) => (this.#output += chunk));
  }

  /** Scrapes what `npm start` of this home lists. */
  static async start(home: string): Promise<PrometheusServer> {
    const folder = mkdtempSync(join(tmpdir(), 'partita-prometheus-'));
    const shipped = readFileSync(join(MONITORING, 'prometheus.yml'), 'utf8');
    const config = shipped
      .replace('../../.partita/prometheus-targets.json', join(home, 'prometheus-targets.json'))
      .replace('[alerts.yml]', `[${join(MONITORING, 'alerts.yml')}]`)
      .replaceAll('_interval: 15s', `_interval: ${SCRAPE_SECONDS}s`);
    writeFileSync(join(folder, 'prometheus.yml'), config);
    const address = `127.0.0.1:${await freeLoopbackPort()}`;
    const flags = ['--config.file', join(folder, 'prometheus.yml'), '--storage.tsdb.path', join(folder, 'data')];
    const child = spawn('prometheus', [...flags, '--web.listen-address', address, '--log.level', 'warn'], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const server = new PrometheusServer(child, folder, address);
    try {
      await until('Prometheus to be ready', START_SECONDS_MAX, async () => (await fetch(server.#url('-/ready'))).ok);
    } catch (error) {
      await server.stop();
      throw new Error(`Prometheus did not start:\n${server.#output}`, { cause: error });
    }
    return server;
  }

  /** The instant value of an expression now. Rejects for what is no PromQL. */
  async query(expression: string): Promise<Sample[]> {
    const { result } = await this.#get<{ result: RawSample[] }>(`query?query=${encodeURIComponent(expression)}`);
    return result.map(({ metric, value }) => ({ labels: metric, value: Number(value[1]) }));
  }

  /** The only value of an expression; undefined = it has none. */
  async value(expression: string): Promise<number | undefined> {
    const samples = await this.query(expression);
    if (samples.length > 1) throw new Error(`${expression} has ${samples.length} values`);
    return samples[0]?.value;
  }

  /** Health by the label `instance`, with why the last scrape failed. */
  async targets(): Promise<Map<string, string>> {
    const { activeTargets } = await this.#get<{ activeTargets: RawTarget[] }>('targets');
    return new Map(
      activeTargets.map(({ labels, health, lastError }) => [labels['instance'] ?? '', `${health}${lastError}`]),
    );
  }

  /** Every alert rule with its state and what was wrong when it was evaluated. */
  async rules(): Promise<readonly { readonly name: string; readonly state: string; readonly lastError: string }[]> {
    const { groups } = await this.#get<{ groups: { rules: RawRule[] }[] }>('rules');
    return groups.flatMap(({ rules }) => rules.map(({ name, state, lastError = '' }) => ({ name, state, lastError })));
  }

  async stop(): Promise<void> {
    const { exitCode, signalCode } = this.#child;
    if (exitCode === null && signalCode === null) {
      const ended = new Promise((resolve) => this.#child.once('close', resolve));
      this.#child.kill('SIGKILL');
      await within('the end of Prometheus', STOP_SECONDS_MAX, ended);
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #url(path: string): string {
    return `http://${this.#address}/${path}`;
  }

  async #get<Data>(path: string): Promise<Data> {
    const response = await fetch(this.#url(`api/v1/${path}`));
    const body = (await response.json()) as { readonly status: string; readonly error?: string; readonly data: Data };
    if (body.status !== 'success') throw new Error(`Prometheus refuses ${path}: ${body.error ?? response.status}`);
    return body.data;
  }
}

interface RawSample {
  readonly metric: Readonly<Record<string, string>>;
  /** Time and value. */
  readonly value: readonly [number, string];
}

interface RawTarget {
  readonly labels: Readonly<Record<string, string>>;
  readonly health: string;
  readonly lastError: string;
}

interface RawRule {
  readonly name: string;
  readonly state: string;
  readonly lastError?: string;
}
