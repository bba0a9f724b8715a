/**
 * One more broker for a cluster that another terminal runs, with its data in the same home. It is supervised here, and stops with
 * this terminal; a later start of the whole cluster with as many brokers finds its data.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { clusterIdOf } from './home.ts';
import { onLoopback } from './placement.ts';
import { PortBook } from './ports.ts';
import { readReadyFile } from './ready-file.ts';
import { planJoiningBroker } from './services.ts';
import type { BrokerPlan, PlannedBroker } from './services.ts';
import { SupervisedProcess } from './supervise.ts';

const READY_SECONDS_MAX = 60;
const POLL_MS = 50;
const STOP_GRACE_MS = 32_000;

export interface JoinOptions extends Omit<BrokerPlan, 'clusterId' | 'place'> {
  readonly brokerId: number;
  readonly restart: boolean;
  readonly restartWaitMsMax: number;
  /** Lines for people, on what happens. */
  readonly log: (line: string) => void;
  /** Ends the start. */
  readonly signal: AbortSignal;
}

export class JoinedBroker {
  readonly plan: PlannedBroker;
  readonly #process: SupervisedProcess;

  private constructor(plan: PlannedBroker, options: JoinOptions) {
    this.plan = plan;
    this.#process = new SupervisedProcess(plan, {
      logFolder: `${options.home}/logs`,
      restart: options.restart,
      restartWaitMsMax: options.restartWaitMsMax,
      onReady: () => undefined,
      onDeath: (text, lines) => options.log([text, ...lines.map((line) => `    ${line}`)].join('\n')),
    });
  }

  /** Resolves when the broker serves. Rejects when no cluster runs in the home, or has such a broker already. */
  static async start(options: JoinOptions): Promise<JoinedBroker> {
    const { home, brokerId, signal } = options;
    const { coordinatorPeers, brokers } = runningCluster(home);
    if (brokers.some(({ id }) => id === brokerId))
      throw new Error(`the cluster in ${home} runs broker ${brokerId} itself: choose another id`);
    const ports = await PortBook.open(home);
    const plan = { ...options, clusterId: clusterIdOf(home), place: onLoopback };
    const joined = new JoinedBroker(await planJoiningBroker(plan, ports, { id: brokerId, coordinatorPeers }), options);
    joined.#process.start();
    const deadlineMs = performance.now() + READY_SECONDS_MAX * 1000;
    while (!joined.#process.ready) {
      if (signal.aborted || performance.now() > deadlineMs) {
        await joined.stop();
        throw new Error(`broker ${brokerId} is not ready: see ${home}/logs/broker-${brokerId}.log`);
      }
      await sleep(POLL_MS);
    }
    return joined;
  }

  stop(): Promise<void> {
    return this.#process.stop(STOP_GRACE_MS);
  }

  /** Ends it at once; for a second Ctrl-C. */
  kill(): void {
    this.#process.kill();
  }
}

function runningCluster(home: string): ReturnType<typeof readReadyFile> {
  try {
    return readReadyFile(home);
  } catch (error) {
    throw new Error(`no cluster runs in ${home}: start one there first, npm start`, { cause: error });
  }
}
