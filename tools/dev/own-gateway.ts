/** One more gateway for a running cluster, with settings of its own: for a tool alone. */
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { withCompileCache } from './compile-cache.ts';

const ENTRY = resolve(import.meta.dirname, '../../apps/producer-gateway/src/main.ts');

export interface OwnGatewayOptions {
  /** Where the coordinators listen for services; of the ready-file. */
  readonly coordinatorPeers: readonly string[];
  /** Further arguments: `--merge off`. */
  readonly args: readonly string[];
}

export class OwnGateway {
  readonly address: string;
  /** Where it answers /metrics. */
  readonly metricsAddress: string;
  readonly pid: number;
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;

  private constructor(child: ChildProcess, ready: ReadyMessage) {
    this.#child = child;
    this.#exited = once(child, 'exit');
    this.pid = child.pid ?? 0;
    this.address = ready.address;
    this.metricsAddress = ready.metricsAddress;
  }

  /** Resolves when it serves. Rejects when it ends instead. */
  static async start({ coordinatorPeers, args }: OwnGatewayOptions): Promise<OwnGateway> {
    const all = ['--coordinators', coordinatorPeers.join(','), '--metrics-listen', '127.0.0.1:0', ...args];
    const child = fork(ENTRY, ['--listen', '127.0.0.1:0', '--log-level', 'warn', ...all], {
      env: withCompileCache(process.env),
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    const ready = await new Promise<ReadyMessage>((settle, reject) => {
      child.once('exit', (code) => reject(new Error(`a gateway of its own ended with code ${code ?? 'none'}`)));
      child.on('message', (message) => {
        if (isReady(message)) settle(message);
      });
    });
    return new OwnGateway(child, ready);
  }

  /** A value of its metrics by name and labels as they are printed, summed over all series that begin so; 0 = none. */
  async metric(name: string): Promise<number> {
    const response = await fetch(`http://${this.metricsAddress}/metrics`);
    let sum = 0;
    for (const line of (await response.text()).split('\n')) {
      const isSeries = line.startsWith(name) && /^[ {]/.test(line.slice(name.length));
      if (isSeries) sum += Number(line.slice(line.lastIndexOf(' ') + 1));
    }
    return sum;
  }

  /** Asks it to drain and waits for its end. */
  async stop(): Promise<void> {
    this.#child.kill('SIGTERM');
    await this.#exited;
  }
}

interface ReadyMessage {
  readonly type: 'ready';
  readonly address: string;
  readonly metricsAddress: string;
}

function isReady(message: unknown): message is ReadyMessage {
  return typeof message === 'object' && message !== null && 'type' in message && message.type === 'ready';
}
