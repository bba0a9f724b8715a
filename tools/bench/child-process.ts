/** Processes of the bench: peers and load generators, forked with a message channel, ended with the orchestrator. */
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { LoadAnswer, LoadTarget } from './loads/load-runner.ts';
import type { RawPeers } from './loads/raw-loads.ts';
import type { Job, Sample } from './sample.ts';
import { BROKER_COUNT } from './workload.ts';

const LOADS = fileURLToPath(new URL('./loads/main.ts', import.meta.url));
const PEER = fileURLToPath(new URL('./peers/raw-grpc.ts', import.meta.url));

/**
 * As docs/producing.md advises who sends much: with V8's own limits a process of few objects and many buffers marks its
 * whole heap several times a second.
 */
export const LOAD_NODE_FLAGS = ['--external-memory-accounted-in-global-limit', '--heap-growing-percent=300'];

export class LoadProcess {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  /** With further variables of the environment: some settings can only be made before a process begins. */
  static async start(target: LoadTarget, env: Readonly<Record<string, string>> = {}): Promise<LoadProcess> {
    const child = fork(LOADS, [JSON.stringify(target)], {
      env: { ...process.env, ...env },
      execArgv: [...process.execArgv, ...LOAD_NODE_FLAGS],
    });
    await nextMessage(child);
    return new LoadProcess(child);
  }

  get pid(): number {
    const { pid } = this.#child;
    if (pid === undefined) throw new Error('the process of a load did not start');
    return pid;
  }

  /** Runs one job; one at a time. Throws an Error when it fails. */
  async run(job: Job): Promise<Sample> {
    const answer = nextMessage(this.#child);
    this.#child.send(job);
    const message = (await answer) as LoadAnswer;
    if ('error' in message) throw new Error(message.error);
    return message.sample;
  }

  stop(): void {
    this.#child.disconnect();
  }

  /** Stops it and waits until it has ended: nothing writes its files any more. */
  async ended(): Promise<void> {
    const exit = once(this.#child, 'exit');
    this.stop();
    await exit;
  }
}

/** The raw chain: as many sinks as there are brokers, and a relay in front of them. The sinks may be others' already. */
export class RawChain implements RawPeers {
  readonly relay: string;
  readonly sinks: readonly string[];
  readonly #children: readonly ChildProcess[];

  private constructor(relay: string, sinks: readonly string[], children: readonly ChildProcess[]) {
    this.relay = relay;
    this.sinks = sinks;
    this.#children = children;
  }

  static async start(given?: readonly string[]): Promise<RawChain> {
    const sinks = given === undefined ? Array.from({ length: BROKER_COUNT }, () => fork(PEER)) : [];
    const sinkAddresses = given ?? (await Promise.all(sinks.map(addressOf)));
    const relay = fork(PEER, sinkAddresses);
    return new RawChain(await addressOf(relay), sinkAddresses, [...sinks, relay]);
  }

  stop(): void {
    for (const child of this.#children) child.disconnect();
  }
}

/** What a peer tells of itself first. */
export async function addressOf(child: ChildProcess): Promise<string> {
  return ((await nextMessage(child)) as { readonly address: string }).address;
}

/** Rejects when the process ends instead. */
export function nextMessage(child: ChildProcess): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const onExit = (code: number | null): void =>
      reject(new Error(`a bench process ended with code ${code ?? 'none'}`));
    child.once('exit', onExit);
    child.once('message', (message) => {
      child.off('exit', onExit);
      resolve(message);
    });
  });
}
