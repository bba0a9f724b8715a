/** Ways between nodes: each has a delay, may be cut in one direction or both, and may lose, repeat and keep messages. */
import type { Actor } from './event-heap.ts';
import type { World } from './world.ts';

/** Brokers have the numbers from 1 on; these are the others. */
export const NODE_OF_COORDINATOR = [10, 11] as const;
export const NODE_COUNT = 12;

/** Whoever takes messages. */
export interface Node extends Actor {
  readonly node: number;
  readonly isUp: boolean;
}

/** Longest time for which a copy of a message is kept back. */
const LIMBO_MS_MAX = 9000;

export class Network {
  readonly #world: World;
  readonly #blocked = new Uint8Array(NODE_COUNT * NODE_COUNT);
  /** After the storm nothing is lost any more. */
  isCalm = false;

  constructor(world: World) {
    this.#world = world;
  }

  isOpen(from: number, to: number): boolean {
    return this.#blocked[from * NODE_COUNT + to] === 0;
  }

  block(from: number, to: number): void {
    this.#blocked[from * NODE_COUNT + to] = 1;
  }

  unblock(from: number, to: number): void {
    this.#blocked[from * NODE_COUNT + to] = 0;
  }

  healAll(): void {
    this.#blocked.fill(0);
  }

  /** Pairs that are cut, as `from * NODE_COUNT + to`. */
  cuts(): number[] {
    const cuts: number[] = [];
    this.#blocked.forEach((isBlocked, pair) => {
      if (isBlocked === 1) cuts.push(pair);
    });
    return cuts;
  }

  delayMs(): number {
    const { random, plan } = this.#world;
    const most = this.isCalm ? Math.min(plan.delayMsMax, 20) : plan.delayMsMax;
    return 0.05 + (random.word() / 2 ** 32) * most;
  }

  /** A message on its own: lost, repeated, overtaken, or very late. `deliver` is called for each copy that arrives. */
  send(from: number, to: Node, deliver: () => void): void {
    const world = this.#world;
    const { random, plan } = world;
    if (!this.isCalm && random.chance(plan.drop)) {
      world.tally.add('messages dropped');
    } else if (!this.isCalm && random.chance(plan.limbo)) {
      world.tally.add('messages in limbo');
      this.#copy(from, to, random.between(50, LIMBO_MS_MAX / 3), deliver);
    } else this.#copy(from, to, this.delayMs(), deliver);
    if (this.isCalm) return;
    if (random.chance(plan.duplicate)) {
      world.tally.add('messages repeated');
      this.#copy(from, to, this.delayMs(), deliver);
    }
    if (random.chance(plan.limbo)) {
      world.tally.add('messages in limbo');
      this.#copy(from, to, random.between(100, LIMBO_MS_MAX), deliver);
    }
  }

  /** Arrives at whatever life the node then has; a way that is cut on arrival swallows it. */
  #copy(from: number, to: Node, delayMs: number, deliver: () => void): void {
    this.#world.after(delayMs, () => {
      if (!this.isOpen(from, to.node) || !to.isUp) return;
      this.#world.hand(to, deliver);
    });
  }
}
