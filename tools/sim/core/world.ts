/** One seed's world: virtual time, chance, everybody in it, and what is noted of it. */
import { SeededRandom } from '@partita/testkit';
import { Tally, Trace, Violation } from '../trace.ts';
import { Broker } from './broker.ts';
import { Clients } from './clients.ts';
import { Coordinator } from './coordinator.ts';
import { Directory } from './directory.ts';
import { EventLoop } from './event-loop.ts';
import { makeReplicas } from './identities.ts';
import { Network, NODE_OF_COORDINATOR } from './network.ts';
import { Oracle } from './oracle.ts';
import { drawPlan, withChanges, withMoves } from './plan.ts';
import type { Plan } from './plan.ts';

/** Far from the numbers of seeds. */
const CHANGE_STREAM = 2 ** 44;
const MOVE_STREAM = 2 ** 45;

/** Of the seeds, those in which leaders are moved. */
const MOVE_SHARE = 0.15;

export class World extends EventLoop {
  readonly seed: number;
  readonly random: SeededRandom;
  /** What changes of replica sets draw from, so that they leave the rest of a seed as it is. */
  readonly changeRandom: SeededRandom;
  /** The same for moves of leaders. */
  readonly moveRandom: SeededRandom;
  readonly plan: Plan;
  /** Undefined unless asked for: lines cost more than what they tell of. */
  readonly trace: Trace | undefined;
  readonly tally = new Tally();
  readonly network: Network;
  readonly directory: Directory;
  /** By partition. */
  readonly oracles: readonly Oracle[];
  readonly brokers: readonly Broker[];
  readonly coordinators: readonly Coordinator[];
  readonly clients: Clients;
  #nonces = 0;

  constructor(seed: number, keepsTrace: boolean, changeShare: number) {
    super();
    this.seed = seed;
    this.random = new SeededRandom(seed);
    this.changeRandom = new SeededRandom(seed + CHANGE_STREAM);
    this.moveRandom = new SeededRandom(seed + MOVE_STREAM);
    const changing = withChanges(drawPlan(this.random), this.changeRandom, changeShare);
    this.plan = withMoves(changing, this.moveRandom, MOVE_SHARE);
    this.trace = keepsTrace ? new Trace(true) : undefined;
    this.trace?.note(`plan ${JSON.stringify(this.plan)}`);
    this.network = new Network(this);
    this.directory = new Directory(this);
    const disks = Array.from({ length: this.plan.partitionCount }, (_, partition) =>
      makeReplicas(this.plan, partition),
    );
    const configs = disks.flatMap(([first]) => first?.config ?? []);
    this.oracles = configs.map((config, partition) => new Oracle(this, disks[partition] ?? [], config));
    this.brokers = Array.from(
      { length: this.plan.brokerCount },
      (_, index) =>
        new Broker(
          this,
          index + 1,
          disks.map((members) => members[index]),
        ),
    );
    this.coordinators = NODE_OF_COORDINATOR.map((node) => new Coordinator(this, node, configs));
    this.clients = new Clients(this);
  }

  broker(brokerId: number): Broker {
    const broker = this.brokers[brokerId - 1];
    if (broker === undefined) throw new RangeError(`there is no broker ${brokerId}`);
    return broker;
  }

  oracle(partition: number): Oracle {
    const oracle = this.oracles[partition];
    if (oracle === undefined) throw new RangeError(`there is no partition ${partition}`);
    return oracle;
  }

  /** A text that no other part of this run has. */
  freshNonce(): string {
    this.#nonces += 1;
    return `n${this.#nonces}`;
  }

  /** A promise was broken: ends the run. */
  violate(what: string): never {
    throw new Violation(`${what} (at ${this.nowMs.toFixed(3)} ms)`);
  }
}
