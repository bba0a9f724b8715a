/** One simulated cluster: its machines, its network, its metadata store, and what is known of what happened in it. */
import { PartitaError } from '@partita/domain';
import type { LogFields, LogLevel } from '@partita/runtime';
import { SeededRandom } from '@partita/testkit';
import { Tally, Trace, Violation } from '../trace.ts';
import { ClientSide } from './client-side.ts';
import type { DiskPace } from './cluster-disk.ts';
import { Network } from './network.ts';
import { BrokerNode, CoordinatorNode } from './nodes.ts';
import type { Node } from './nodes.ts';
import { Losses } from './losses.ts';
import { Oracle } from './oracle.ts';
import { drawPlan } from './plan.ts';
import type { Plan } from './plan.ts';
import { SimulatedRedis } from './store.ts';
import { uuidOf, VirtualTime } from './virtual-time.ts';

export class World {
  readonly random: SeededRandom;
  readonly keepsTrace: boolean;
  readonly trace: Trace;
  readonly tally = new Tally();
  readonly plan: Plan;
  readonly time: VirtualTime;
  readonly network: Network;
  readonly redis = new SimulatedRedis();
  readonly clusterId: string;
  readonly diskPace: { -readonly [Key in keyof DiskPace]: DiskPace[Key] };
  readonly brokers: readonly BrokerNode[];
  readonly coordinators: readonly CoordinatorNode[];
  readonly clients: ClientSide;
  readonly oracle: Oracle;
  readonly losses: Losses;
  /** Of wall clocks, by host. */
  readonly clockOffsets = new Map<string, number>();
  #violation: string | undefined;

  constructor(seed: number, keepsTrace: boolean) {
    this.random = new SeededRandom(seed);
    this.keepsTrace = keepsTrace;
    this.trace = new Trace(keepsTrace);
    this.plan = drawPlan(this.random);
    this.time = new VirtualTime(this.random.fork());
    this.network = new Network(this.time, this.random.fork(), (line) => this.trace.note(`${this.now} ${line}`));
    this.network.pace = this.plan.network;
    this.diskPace = { ...this.plan.disk };
    this.redis.answerMsMax = this.plan.storeMsMax;
    this.clusterId = uuidOf(this.random);
    const { brokerCount, coordinatorCount } = this.plan;
    this.coordinators = Array.from({ length: coordinatorCount }, (_, index) => new CoordinatorNode(this, index + 1));
    this.brokers = Array.from({ length: brokerCount }, (_, index) => new BrokerNode(this, index + 1));
    this.oracle = new Oracle(this);
    this.losses = new Losses(this);
    this.clients = new ClientSide(this);
  }

  get now(): string {
    return this.time.nowMs.toFixed(2);
  }

  get nodes(): readonly Node[] {
    return [...this.coordinators, ...this.brokers];
  }

  /** A promise was broken; the seed ends. */
  violated(what: string): void {
    this.#violation ??= `${what} (at ${this.now} ms)`;
  }

  async run(forMs: number, isOver: () => boolean = () => false): Promise<void> {
    await this.time.run(forMs, () => {
      this.oracle.look();
      return this.#violation !== undefined || isOver();
    });
    if (this.#violation !== undefined) throw new Violation(this.#violation);
  }

  /** A line of a service's log. Services do not log errors of their own code unless there is a bug. */
  onLog(node: Node, level: LogLevel, { err }: LogFields, message: string): void {
    if (level !== 'error' && level !== 'fatal') return;
    this.tally.add(`logged: ${message}`);
    // A replica stops for a disk that fails, too.
    const isDisk = err instanceof PartitaError && err.reason === 'STORAGE_FAILED';
    if (!isDisk && /a bug|has stopped/.test(message)) this.violated(`${node.name} logs "${message}": ${String(err)}`);
  }
}
