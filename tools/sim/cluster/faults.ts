/** What goes wrong in a seed, and when: drawn by the weights of its plan, each fault passing by itself after a while. */
import type { DirectoryBackup } from './store.ts';
import type { BrokerNode, Node } from './nodes.ts';
import { FAULTS } from './plan.ts';
import type { Fault } from './plan.ts';
import { uuidOf } from './virtual-time.ts';
import type { World } from './world.ts';

const DOWN_MS_MAX = 4000;
const PAUSE_MS_MAX = 7000;
const CUT_MS_MAX = 9000;
const STORE_AWAY_MS_MAX = 9000;
const SPLIT_MS_MAX = 6000;
const CLOCK_JUMP_MS_MAX = 3_600_000;
/** Calls to a disk among which the one is at which its machine fails. */
const CALL_COUNT_MAX = 60;
const BACKUP_MS = 700;
const BACKUP_COUNT_MAX = 6;

export class Faults {
  readonly #world: World;
  readonly #backups: DirectoryBackup[] = [];
  /** The one whose disk may fail. */
  readonly #weak: BrokerNode;
  #hasFailed = false;
  #isOver = false;

  constructor(world: World) {
    this.#world = world;
    this.#weak = world.random.pick(world.brokers);
  }

  start(): void {
    this.#backUpLater();
    this.#nextLater();
  }

  /** Heals everything, and starts whatever is down. */
  stop(): void {
    this.#isOver = true;
    const { network, redis, nodes, brokers, diskPace, plan } = this.#world;
    network.healAll();
    network.pace = { minMs: 0.1, maxMs: 1, slowShare: 0, slowMs: 0 };
    Object.assign(diskPace, { syncMsMax: Math.min(5, plan.disk.syncMsMax), stallShare: 0 });
    redis.rival = undefined;
    redis.losesAnswers = 0;
    redis.answerMsMax = 1;
    redis.change(undefined);
    for (const broker of brokers) broker.disk.faults.calm();
    // A replica that could not be read at a start stays offline until the next one.
    if (this.#hasFailed) this.#weak.kill();
    for (const node of nodes) {
      node.goOn();
      node.start();
    }
  }

  #nextLater(): void {
    const { time, random, plan } = this.#world;
    time.of(undefined, random.below(2 * plan.faultEveryMs), () => {
      if (this.#isOver) return;
      const fault = this.#draw();
      if (fault !== undefined) this.#inject(fault);
      this.#nextLater();
    });
  }

  #draw(): Fault | undefined {
    const { random, plan } = this.#world;
    const sum = FAULTS.reduce((total, fault) => total + plan.weights[fault], 0);
    if (sum === 0) return undefined;
    let left = random.below(sum);
    return FAULTS.find((fault) => (left -= plan.weights[fault]) < 0);
  }

  #inject(fault: Fault): void {
    const { trace, now } = this.#world;
    trace.note(`${now} fault: ${fault}`);
    if (this.#ways[fault]() !== false) this.#world.tally.add(`fault: ${fault}`);
  }

  /** Each does it, or answers false when it cannot be done now. */
  readonly #ways: Readonly<Record<Fault, () => false | void>> = {
    'broker killed': () => this.#kill(this.#broker()),
    'broker without power': () => this.#cutPower(this.#broker()),
    'all brokers without power': () => {
      for (const broker of this.#world.brokers) this.#cutPower(broker, true);
    },
    'broker paused': () => this.#broker()?.pause(this.#upTo(PAUSE_MS_MAX)) ?? false,
    'broker wiped': () => this.#wipe(),
    'broker restarted': () => this.#broker()?.restart() ?? false,
    'coordinator killed': () => this.#kill(this.#coordinator()),
    'coordinator paused': () => this.#coordinator()?.pause(this.#upTo(PAUSE_MS_MAX)) ?? false,
    'coordinator restarted': () => this.#coordinator()?.restart() ?? false,
    'two cut apart': () => {
      const { nodes, random } = this.#world;
      const [one, other] = [random.pick(nodes).host, random.pick(nodes).host];
      if (one === other) return false;
      this.#cut([
        [one, other],
        [other, one],
      ]);
    },
    'one-way cut': () => {
      const { nodes, random } = this.#world;
      const [one, other] = [random.pick(nodes).host, random.pick(nodes).host];
      if (one === other) return false;
      this.#cut([[one, other]]);
    },
    'one isolated': () => {
      const { nodes, random } = this.#world;
      const { host } = random.pick(nodes);
      const others = nodes.filter((node) => node.host !== host);
      this.#cut(
        others.flatMap((other): [string, string][] => [
          [host, other.host],
          [other.host, host],
        ]),
      );
    },
    healed: () => this.#world.network.healAll(),
    'connection broken': () => this.#world.network.breakOne(),
    'store wiped': () => {
      this.#world.redis.wipe();
      if (this.#world.clients.topics.active().length > 0) this.#world.tally.add('seen: directory lost with topics');
    },
    'store rolled back': () => {
      const { random, redis } = this.#world;
      if (this.#backups.length === 0) return false;
      redis.restore(random.pick(this.#backups));
    },
    'store away': () => this.#storeAway(),
    'store split': () => this.#split(),
    'store generation replaced': () => {
      const { redis, random } = this.#world;
      redis.replaceGeneration(random.chance(0.5) ? uuidOf(random) : 'garbage');
    },
    'disk fails': () => {
      if (this.#weak.process === undefined) return false;
      this.#hasFailed = true;
      this.#weak.disk.faults.failAt(this.#upTo(CALL_COUNT_MAX), 'EIO');
    },
    'wall clock jumps': () => {
      const { nodes, random, clockOffsets } = this.#world;
      const node = random.pick(nodes);
      const offsetMs = random.between(-CLOCK_JUMP_MS_MAX, CLOCK_JUMP_MS_MAX);
      clockOffsets.set(node.host, offsetMs);
      if (node.process !== undefined) node.process.clockOffsetMs = offsetMs;
    },
  };

  #broker(): BrokerNode | undefined {
    return this.#running(this.#world.brokers);
  }

  #coordinator(): Node | undefined {
    return this.#running(this.#world.coordinators);
  }

  #running<Some extends Node>(nodes: readonly Some[]): Some | undefined {
    const running = nodes.filter(({ process }) => process !== undefined);
    return running.length === 0 ? undefined : this.#world.random.pick(running);
  }

  #kill(node: Node | undefined): false | void {
    if (node === undefined) return false;
    node.kill();
    node.startLater(this.#upTo(DOWN_MS_MAX));
  }

  /** At once, or in the middle of one of the next calls to the disk. */
  #cutPower(broker: BrokerNode | undefined, isNow = this.#world.random.chance(0.5)): false | void {
    if (broker === undefined) return false;
    if (isNow) broker.cutPower();
    else broker.disk.faults.failAt(this.#upTo(CALL_COUNT_MAX), 'power');
    broker.startLater(this.#upTo(DOWN_MS_MAX));
  }

  #wipe(): false | void {
    const { random, brokers, losses } = this.#world;
    const broker = random.pick(brokers);
    if (!losses.mayLose(broker.brokerId)) return false;
    losses.lost(broker.brokerId);
    broker.wipe();
    broker.startLater(this.#upTo(DOWN_MS_MAX));
  }

  #cut(ways: readonly (readonly [string, string])[]): void {
    const { network, time } = this.#world;
    for (const [from, to] of ways) network.cut(from, to);
    time.of(undefined, this.#upTo(CUT_MS_MAX), () => {
      for (const [from, to] of ways) network.heal(from, to);
    });
  }

  #storeAway(): void {
    const { redis, random, time } = this.#world;
    redis.change(random.chance(0.5) ? 'refuses' : 'silent');
    time.of(undefined, this.#upTo(STORE_AWAY_MS_MAX), () => redis.change(undefined));
  }

  #split(): false | void {
    const { redis, random, time } = this.#world;
    if (redis.rival !== undefined) return false;
    redis.split();
    time.of(undefined, this.#upTo(SPLIT_MS_MAX), () => redis.join(random.chance(0.5)));
  }

  #backUpLater(): void {
    const { time, redis } = this.#world;
    time.of(undefined, BACKUP_MS, () => {
      if (this.#isOver) return;
      this.#backups.push(redis.backUp());
      if (this.#backups.length > BACKUP_COUNT_MAX) this.#backups.shift();
      this.#backUpLater();
    });
  }

  #upTo(max: number): number {
    return this.#world.random.between(1, max);
  }
}
