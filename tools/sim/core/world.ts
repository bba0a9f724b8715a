/** One seed's world: virtual time, chance, everybody in it, and what is noted of it. */
import { SeededRandom } from '@partita/testkit';
import { Tally, Trace, Violation } from '../trace.ts';
import { Broker } from './broker.ts';
import { Clients } from './clients.ts';
import { Coordinator } from './coordinator.ts';
import { Directory } from './directory.ts';
import { EventHeap } from './event-heap.ts';
import type { Actor, Event } from './event-heap.ts';
import { makeReplicas } from './identities.ts';
import { Network, NODE_OF_COORDINATOR } from './network.ts';
import { Oracle } from './oracle.ts';
import { drawPlan } from './plan.ts';
import type { Plan } from './plan.ts';

export class World {
  readonly seed: number;
  readonly random: SeededRandom;
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
  nowMs = 0;
  steps = 0;
  #order = 0;
  #nonces = 0;
  readonly #heap = new EventHeap();

  constructor(seed: number, keepsTrace: boolean) {
    this.seed = seed;
    this.random = new SeededRandom(seed);
    this.plan = drawPlan(this.random);
    this.trace = keepsTrace ? new Trace(true) : undefined;
    this.trace?.note(`plan ${JSON.stringify(this.plan)}`);
    this.network = new Network(this);
    this.directory = new Directory(this);
    const disks = Array.from({ length: this.plan.partitionCount }, (_, partition) =>
      makeReplicas(this.plan, partition),
    );
    this.oracles = disks.map((members) => new Oracle(this, members));
    this.brokers = Array.from(
      { length: this.plan.brokerCount },
      (_, index) =>
        new Broker(
          this,
          index + 1,
          disks.flatMap((members) => members[index] ?? []),
        ),
    );
    const configs = disks.flatMap(([first]) => first?.config ?? []);
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

  /** An event of the world itself. */
  after(delayMs: number, work: () => void): void {
    this.#push(delayMs, undefined, work);
  }

  /** An event of whoever may be paused or dead by then. */
  afterOf(actor: Actor, delayMs: number, work: () => void): void {
    this.#push(delayMs, actor, work);
  }

  /** Now, or when the paused one goes on. */
  hand(actor: Actor, work: () => void): void {
    if (actor.isPaused) actor.backlog.push(this.#event(0, actor, work));
    else work();
  }

  /** A paused actor goes on: all that came in meanwhile is met in a burst, in its order. */
  catchUp(actor: Actor, backlog: readonly Event[]): void {
    for (const { life, work } of backlog) {
      this.afterOf(actor, 0, () => {
        if (life === actor.life) work();
      });
    }
  }

  /** Runs until the time, or until `isDone` says so; true when it did. */
  run(untilMs: number, isDone: () => boolean = () => false): boolean {
    for (;;) {
      if (isDone()) return true;
      const event = this.#heap.pop();
      if (event === undefined) return false;
      if (event.atMs > untilMs) {
        this.#heap.push(event);
        this.nowMs = untilMs;
        return false;
      }
      this.nowMs = event.atMs;
      this.#dispatch(event);
    }
  }

  /** A promise was broken: ends the run. */
  violate(what: string): never {
    throw new Violation(`${what} (at ${this.nowMs.toFixed(3)} ms)`);
  }

  #dispatch(event: Event): void {
    const { actor } = event;
    if (actor !== undefined) {
      if (actor.life !== event.life) return;
      if (actor.isPaused) {
        actor.backlog.push(event);
        return;
      }
    }
    this.steps += 1;
    event.work();
  }

  #push(delayMs: number, actor: Actor | undefined, work: () => void): void {
    this.#heap.push(this.#event(delayMs, actor, work));
  }

  #event(delayMs: number, actor: Actor | undefined, work: () => void): Event {
    this.#order += 1;
    return { atMs: this.nowMs + delayMs, order: this.#order, actor, life: actor?.life ?? 0, work };
  }
}
