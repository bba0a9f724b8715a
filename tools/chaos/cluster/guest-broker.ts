/**
 * A second process of a broker, as an operator makes it by mistake: the same command, another address and directory. It is not
 * supervised, and the cluster has not asked for it.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { freeLoopbackPort } from '@partita/tool-dev/redis-server.ts';
import { memberOf, netOf } from '../network/network-plan.ts';
import type { ChaosCluster } from './chaos-cluster.ts';
import { GUEST } from './launcher-messages.ts';

const OUTPUT_CHARS_MAX = 64 * 1024;
const GUEST_PORT = 7100;

export class GuestBroker {
  readonly #child: ChildProcess;
  #output = '';

  /** Like the named broker, which runs. Does not wait for anything. */
  static async start(cluster: ChaosCluster, name: string, dataDir: string): Promise<GuestBroker> {
    const { pid } = await cluster.member(name);
    if (pid === undefined) throw new Error(`${name} is down`);
    const host = cluster.network === undefined ? '127.0.0.1' : memberOf(cluster.network, GUEST).address;
    const isApart = cluster.network !== undefined;
    const ports = isApart ? [GUEST_PORT, GUEST_PORT + 1] : [await freeLoopbackPort(), await freeLoopbackPort()];
    const own = {
      '--listen': `${host}:${ports[0]}`,
      '--peer-listen': `${host}:${ports[1]}`,
      '--data-dir': dataDir,
    };
    const command = withOptions(zeroed(`/proc/${pid}/cmdline`), own);
    // Without the channel to the launcher, which is not its parent.
    const environment = zeroed(`/proc/${pid}/environ`).filter((entry) => !entry.startsWith('NODE_CHANNEL_'));
    const wrap = cluster.network === undefined ? [] : ['nsenter', netOf(memberOf(cluster.network, GUEST))];
    const [file = process.execPath, ...args] = [...wrap, ...command];
    const env = environmentOf(environment);
    return new GuestBroker(spawn(file, args, { cwd: `/proc/${pid}/cwd`, env, stdio: ['ignore', 'pipe', 'pipe'] }));
  }

  private constructor(child: ChildProcess) {
    this.#child = child;
    for (const stream of [child.stdout, child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#output = (this.#output + text).slice(-OUTPUT_CHARS_MAX);
      });
    child.once('error', (error) => (this.#output += String(error)));
  }

  /** What it printed. */
  get output(): string {
    return this.#output;
  }

  /** kill -9. */
  async end(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await ended;
  }
}

function zeroed(path: string): string[] {
  return readFileSync(path, 'utf8')
    .split('\0')
    .filter((part) => part !== '');
}

/** The arguments with other values behind these options. */
function withOptions(args: readonly string[], values: Readonly<Record<string, string>>): string[] {
  return args.map((arg, index) => values[args[index - 1] ?? ''] ?? arg);
}

function environmentOf(entries: readonly string[]): NodeJS.ProcessEnv {
  return Object.fromEntries(
    entries.map((entry) => [entry.slice(0, entry.indexOf('=')), entry.slice(entry.indexOf('=') + 1)]),
  );
}
