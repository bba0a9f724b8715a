/** One seed's world: virtual time, chance, everybody in it, and what is noted of it. */
import { SeededRandom } from '@partita/testkit';
import type { Actor } from '../core/event-heap.ts';
import { EventLoop } from '../core/event-loop.ts';
import { Tally, Trace, Violation } from '../trace.ts';
import { GroupLog } from './group-log.ts';
import { MemberProcess } from './member-process.ts';
import { Oracle } from './oracle.ts';
import { drawPlan } from './plan.ts';
import type { Plan } from './plan.ts';
import { ShardNode } from './shard-node.ts';
import { TOPIC_NAMES, Topics } from './topics.ts';

/** Longest time for which a request is kept back. */
const LIMBO_MS_MAX = 2500;

export class World extends EventLoop {
  readonly random: SeededRandom;
  readonly plan: Plan;
  /** Undefined unless asked for: lines cost more than what they tell of. */
  readonly trace: Trace | undefined;
  readonly tally = new Tally();
  readonly topics = new Topics();
  readonly log: GroupLog;
  readonly oracle: Oracle;
  readonly nodes: readonly ShardNode[];
  readonly members: MemberProcess[];
  /** The instance that shall own the shard. */
  assigned: ShardNode;
  /** After the storm nothing is lost any more. */
  isCalm = false;
  /** The leader of the shard's partition cannot be reached. */
  isLeaderAway = false;
  #ids = 0;

  constructor(seed: number, keepsTrace: boolean) {
    super();
    this.random = new SeededRandom(seed);
    this.plan = drawPlan(this.random);
    this.trace = keepsTrace ? new Trace(true) : undefined;
    this.trace?.note(`plan ${JSON.stringify(this.plan)}`);
    const { random, plan } = this;
    for (const name of TOPIC_NAMES) {
      if (name === 'a' || random.chance(0.5)) this.topics.create(name, random.between(1, plan.partitionCount));
    }
    this.log = new GroupLog(this);
    this.oracle = new Oracle(this);
    this.nodes = Array.from({ length: plan.nodeCount }, (_, index) => new ShardNode(this, index));
    this.assigned = random.pick(this.nodes);
    this.members = Array.from({ length: plan.groupCount * plan.memberCount }, (_, index) => {
      return new MemberProcess(this, index, `g${index % plan.groupCount}`);
    });
  }

  get wallMs(): number {
    return Math.floor(this.nowMs);
  }

  /** A text that no other part of this run has. */
  freshId(prefix: string): string {
    this.#ids += 1;
    return `${prefix}${this.#ids}`;
  }

  delayMs(): number {
    const most = this.isCalm ? Math.min(this.plan.delayMsMax, 20) : this.plan.delayMsMax;
    return 0.05 + (this.random.word() / 2 ** 32) * most;
  }

  /** A request or an answer: late, very late, or lost. */
  send(to: Actor | undefined, work: () => void): void {
    const { random, plan } = this;
    if (!this.isCalm && random.chance(plan.drop)) {
      this.tally.add('messages lost');
      return;
    }
    const isInLimbo = !this.isCalm && random.chance(plan.limbo);
    if (isInLimbo) this.tally.add('messages in limbo');
    const delayMs = isInLimbo ? random.between(50, LIMBO_MS_MAX) : this.delayMs();
    if (to === undefined) this.after(delayMs, work);
    else this.afterOf(to, delayMs, work);
  }

  /** Topics have changed: each owner hears of it when it does. */
  announceTopics(): void {
    const { catalog, version } = this.topics;
    for (const node of this.nodes) this.after(this.delayMs() * 3, () => node.learn(catalog, version));
  }

  /** A state that some seed has to meet. */
  see(what: string): void {
    this.tally.add(`seen: ${what}`);
    this.trace?.note(`${this.nowMs.toFixed(3)} seen ${what}`);
  }

  note(line: () => string): void {
    this.trace?.note(`${this.nowMs.toFixed(3)} ${line()}`);
  }

  /** A promise was broken: ends the run. */
  violate(what: string): never {
    throw new Violation(`${what} (at ${this.nowMs.toFixed(3)} ms)`);
  }
}
