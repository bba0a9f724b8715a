/**
 * Processes of clients: started, killed and followed by successors, and at the end the history of all of them. A process
 * has a producer of each form of delivery; every other one names partitions, in the others the keys choose them.
 */
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { withCompileCache } from '@partita/tool-dev/compile-cache.ts';
import type { HistoryEvent } from '../history.ts';
import { readHistory } from '../recorder.ts';
import type { Recorder } from '../recorder.ts';
import type { ClientPlan, Delivery } from './client-plan.ts';

const ENTRY = fileURLToPath(new URL('./main.ts', import.meta.url));
const DELIVERIES: readonly Delivery[] = ['batches', 'direct', 'records'];
const REQUEST_INTERVAL_MS = 60;
const OUTPUT_CHARS_MAX = 4000;

export interface ClientProcessesOptions {
  readonly endpoints: readonly string[];
  readonly gateways: readonly string[];
  readonly topic: string;
  readonly partitionCount: number;
  /** Numbers its processes. */
  readonly recorder: Recorder;
  /** For the journals. */
  readonly folder: string;
  readonly count: number;
  /** Of each producer. */
  readonly sendIntervalMs: number;
  readonly nodeArgs?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
}

interface RunningClients {
  readonly child: ChildProcess;
  readonly journal: string;
  readonly ended: Promise<unknown>;
  readonly output: () => string;
}

export class ClientProcesses {
  readonly #options: ClientProcessesOptions;
  readonly #journals: string[] = [];
  readonly #running: RunningClients[] = [];
  #killCount = 0;

  /** Resolves when all of them send. */
  static async start(options: ClientProcessesOptions): Promise<ClientProcesses> {
    const processes = new ClientProcesses(options);
    mkdirSync(options.folder, { recursive: true });
    const started = Array.from({ length: options.count }, (_, slot) => processes.#start(slot));
    processes.#running.push(...(await Promise.all(started)));
    return processes;
  }

  private constructor(options: ClientProcessesOptions) {
    this.#options = options;
  }

  get killCount(): number {
    return this.#killCount;
  }

  /** kill -9 of the next one in turn; resolves when its successor sends, with new sessions and the requests of the dead. */
  async killNext(): Promise<void> {
    const slot = this.#killCount++ % this.#running.length;
    const victim = this.#running[slot];
    if (victim === undefined) return;
    victim.child.kill('SIGKILL');
    await victim.ended;
    this.#running[slot] = await this.#start(slot, victim.journal);
  }

  /** Lets all end what they have begun. Throws when one ended otherwise. */
  async stop(secondsMax: number): Promise<void> {
    await Promise.all(
      this.#running.map(async ({ child, ended, output }) => {
        if (child.exitCode === null) child.send('stop');
        const timer = setTimeout(() => child.kill('SIGKILL'), secondsMax * 1000);
        await ended;
        clearTimeout(timer);
        if (child.exitCode !== 0)
          throw new Error(`clients ended with ${child.exitCode ?? child.signalCode}:\n${output()}`);
      }),
    );
  }

  /** Ends whatever runs; for clean-up. */
  kill(): void {
    for (const { child } of this.#running) child.kill('SIGKILL');
  }

  /** A history for each process, also of those that were killed. */
  histories(): HistoryEvent[][] {
    return this.#journals.map(readHistory);
  }

  async #start(slot: number, predecessor?: string): Promise<RunningClients> {
    const { endpoints, gateways, topic, partitionCount, recorder, folder, sendIntervalMs, nodeArgs, env } =
      this.#options;
    const journal = join(folder, `clients-${this.#journals.length}.jsonl`);
    this.#journals.push(journal);
    const requester = {
      process: recorder.newProcess(),
      delivery: DELIVERIES[slot % DELIVERIES.length] ?? 'batches',
      intervalMs: REQUEST_INTERVAL_MS,
      gateways,
      ...(predecessor === undefined ? {} : { predecessor }),
    };
    const senders = DELIVERIES.map((delivery, index) => ({
      process: recorder.newProcess(),
      delivery,
      namesPartition: (slot + index) % 2 === 0,
      intervalMs: sendIntervalMs,
    }));
    const plan: ClientPlan = { endpoints, topic, partitionCount, journal, senders, requester };
    const child = fork(ENTRY, [JSON.stringify(plan)], {
      silent: true,
      execArgv: [...(nodeArgs ?? [])],
      env: withCompileCache(env ?? process.env),
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream?.setEncoding('utf8').on('data', (chunk: string) => (output = (output + chunk).slice(-OUTPUT_CHARS_MAX)));
    const ended = once(child, 'close');
    await Promise.race([once(child, 'message'), ended]);
    if (child.exitCode !== null) throw new Error(`clients did not start:\n${output}`);
    return { child, journal, ended, output: () => output };
  }
}
