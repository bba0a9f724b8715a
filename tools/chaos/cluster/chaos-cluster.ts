/** A cluster that is hurt: what a fault needs of it. It runs in a process of its own, which ends with this one. */
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { withCompileCache } from '@partita/tool-dev/compile-cache.ts';
import { readReadyFile } from '@partita/tool-dev/ready-file.ts';
import type { ReadyFile } from '@partita/tool-dev/ready-file.ts';
import type { RedisCommand } from '@partita/tool-dev/redis-server.ts';
import { until, within } from '@partita/tool-dev/until.ts';
import { Cuts } from '../network/cuts.ts';
import { planNetwork } from '../network/network-plan.ts';
import type { NetworkPlan } from '../network/network-plan.ts';
import type { Abilities } from './abilities.ts';
import { Clocks } from './clocks.ts';
import { namesOf } from './launcher-messages.ts';
import type { Answer, ClusterPlan, Member, Order } from './launcher-messages.ts';

const LAUNCHER = fileURLToPath(new URL('./launcher.ts', import.meta.url));
const START_SECONDS_MAX = 90;
const STOP_SECONDS_MAX = 60;
const ANSWER_SECONDS_MAX = 20;
const OUTPUT_CHARS_MAX = 8000;

export interface ChaosClusterOptions {
  readonly abilities: Abilities;
  readonly redisCommand: RedisCommand;
  /** Default 4 brokers, of which each partition has 3, and 2 of everything else. */
  readonly brokerCount?: number;
  readonly coordinatorCount?: number;
  readonly gatewayCount?: number;
  readonly consumerGroupCount?: number;
  /** What dies, and why. */
  readonly log?: (line: string) => void;
}

export class ChaosCluster {
  readonly home: string;
  /** Undefined: all are on loopback, and nobody can be cut off. */
  readonly cuts: Cuts | undefined;
  /** Undefined: clocks stay as they are. */
  readonly clocks: Clocks | undefined;
  readonly network: NetworkPlan | undefined;
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;
  readonly #asked = new Map<number, (answer: Extract<Answer, { kind: 'done' }>) => void>();
  readonly #log: (line: string) => void;
  #askedCount = 0;
  #state: Extract<Answer, { kind: 'ready' | 'failed' }> | undefined;
  #output = '';

  /** Resolves when it serves. Rejects with what the services printed last when it does not. */
  static async start(options: ChaosClusterOptions): Promise<ChaosCluster> {
    const { noNetwork, clockLibrary } = options.abilities;
    const cluster = new ChaosCluster(
      {
        home: mkdtempSync(join(tmpdir(), 'partita-chaos-')),
        brokerCount: options.brokerCount ?? 4,
        coordinatorCount: options.coordinatorCount ?? 2,
        gatewayCount: options.gatewayCount ?? 2,
        consumerGroupCount: options.consumerGroupCount ?? 2,
        redisCommand: options.redisCommand,
        hasNetwork: noNetwork === undefined,
        ...(clockLibrary === undefined ? {} : { clockLibrary }),
      },
      options.log ?? (() => undefined),
    );
    try {
      await until('the cluster to serve', START_SECONDS_MAX, () => cluster.#state);
      if (cluster.#state?.kind === 'failed') throw new Error(cluster.#state.why);
      return cluster;
    } catch (error) {
      await cluster.stop();
      throw new Error(`the cluster did not start (${cluster.home}): ${String(error)}\n${cluster.#output}`, {
        cause: error,
      });
    }
  }

  private constructor(plan: ClusterPlan, log: (line: string) => void) {
    this.home = plan.home;
    this.#log = log;
    this.#child = fork(LAUNCHER, [JSON.stringify(plan)], {
      silent: true,
      // A group of its own: Ctrl-C reaches this process alone, which ends the cluster in order.
      detached: true,
      env: withCompileCache(process.env),
    });
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#output = (this.#output + text).slice(-OUTPUT_CHARS_MAX);
      });
    // Not `close`, which does not come once this side has disconnected.
    this.#ended = once(this.#child, 'exit').then(() => {
      this.#state ??= { kind: 'failed', why: 'its launcher ended' };
    });
    this.#child.on('message', (answer: Answer) => this.#take(answer));
    this.network = plan.hasNetwork ? planNetwork(this.#child.pid ?? 0, namesOf(plan)) : undefined;
    this.cuts = this.network === undefined ? undefined : new Cuts(this.network);
    this.clocks = plan.clockLibrary === undefined ? undefined : new Clocks(plan.home);
  }

  /** Addresses and directories; process ids are better asked of `members`. */
  get file(): ReadyFile {
    return readReadyFile(this.home);
  }

  /** Where clients begin: every service that they may ask. */
  get endpoints(): string[] {
    const { gateways, coordinators, consumerGroups } = this.file;
    return [...gateways, ...coordinators, ...consumerGroups];
  }

  /** Every process as it is now. */
  async members(): Promise<readonly Member[]> {
    return (await this.#ask({ do: 'members' })).members;
  }

  async member(name: string): Promise<Member> {
    const found = (await this.members()).find((member) => member.name === name);
    if (found === undefined) throw new Error(`no process is called ${name}`);
    return found;
  }

  /** kill -9, and none of them is started again before it is released. Resolves when they are gone. */
  async holdDown(names: readonly string[]): Promise<void> {
    for (const name of names) await this.#ask({ do: 'hold', name });
    await this.signal(names, 'SIGKILL');
    await until(`the end of ${names.join()}`, ANSWER_SECONDS_MAX, async () =>
      (await this.members()).every(({ name, pid }) => pid === undefined || !names.includes(name)),
    );
  }

  async release(names: readonly string[]): Promise<void> {
    for (const name of names) await this.#ask({ do: 'release', name });
  }

  /** Answers the ids of the processes that got it; none of one that is down. */
  async signal(names: readonly string[], signal: NodeJS.Signals): Promise<number[]> {
    const pids = (await this.members()).flatMap(({ name, pid }) => (names.includes(name) ? (pid ?? []) : []));
    return pids.filter((pid) => sendSignal(pid, signal));
  }

  /** Ends everything, whatever state it is in; the home stays. Never rejects. */
  async stop(): Promise<void> {
    if (this.#child.connected) this.#child.disconnect();
    await within('the end of the cluster', STOP_SECONDS_MAX, this.#ended).catch(() => this.#child.kill('SIGKILL'));
  }

  removeHome(): void {
    rmSync(this.home, { recursive: true, force: true, maxRetries: 5 });
  }

  async #ask(order: Order): Promise<Extract<Answer, { kind: 'done' }>> {
    const number = (this.#askedCount += 1);
    const answered = new Promise<Extract<Answer, { kind: 'done' }>>((resolve) => this.#asked.set(number, resolve));
    this.#child.send({ ...order, number });
    const answer = await within(`the launcher to ${order.do}`, ANSWER_SECONDS_MAX, answered);
    if (answer.error !== '') throw new Error(answer.error);
    return answer;
  }

  #take(answer: Answer): void {
    if (answer.kind === 'death') this.#log(answer.text);
    else if (answer.kind === 'done') {
      this.#asked.get(answer.number)?.(answer);
      this.#asked.delete(answer.number);
    } else this.#state = answer;
  }
}

/** False when there is no such process any more. */
export function sendSignal(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}
