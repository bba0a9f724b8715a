/** What goes wrong, and when: a fault every so often, of a kind that the seed's weights choose. */
import { FAULTS } from './plan.ts';
import type { Fault } from './plan.ts';
import type { Broker, Crash } from './broker.ts';
import { NODE_COUNT, NODE_OF_COORDINATOR } from './network.ts';
import { isIn } from './config-oracle.ts';
import { electionQuorumOf, setsAmong } from './quorum.ts';
import type { World } from './world.ts';

export class Faults {
  readonly #world: World;
  #isOver = false;

  constructor(world: World) {
    this.#world = world;
  }

  start(): void {
    const { random, plan } = this.#world;
    const gapMs = plan.faultEveryMs * (0.3 + (1.4 * random.word()) / 2 ** 32);
    this.#world.after(gapMs, () => {
      if (this.#isOver) return;
      this.#strike(this.#draw());
      this.start();
    });
  }

  stop(): void {
    this.#isOver = true;
  }

  #draw(): Fault {
    const { random, plan } = this.#world;
    const sum = FAULTS.reduce((total, fault) => total + plan.weights[fault], 0);
    let left = random.below(sum);
    for (const fault of FAULTS) {
      left -= plan.weights[fault];
      if (left < 0) return fault;
    }
    return 'heal';
  }

  #strike(fault: Fault): void {
    const { tally, trace, nowMs } = this.#world;
    tally.add(`fault: ${fault}`);
    trace?.note(`${nowMs.toFixed(3)} fault ${fault}`);
    STRIKES[fault](this.#world);
  }
}

const STRIKES: Readonly<Record<Fault, (world: World) => void>> = {
  kill: (world) => crash(world, someBroker(world), 'kill'),
  'power cut': (world) => crash(world, someBroker(world), 'power cut'),
  'kill of all': (world) => {
    for (const broker of world.brokers) crash(world, broker, 'kill');
  },
  'power cut of all': (world) => {
    for (const broker of world.brokers) crash(world, broker, 'power cut');
  },
  pause: (world) => {
    const broker = someBroker(world);
    broker.pause();
    world.after(pauseMs(world), () => broker.resume());
  },
  'failing disk': (world) => {
    someBroker(world).failsNextSync = true;
  },
  'full disk': (world) => {
    const broker = someBroker(world);
    broker.isFull = true;
    world.after(world.random.between(100, 2500), () => {
      broker.isFull = false;
    });
  },
  'slow disk': (world) => {
    someBroker(world).slowUntilMs = world.nowMs + world.random.between(500, 4000);
  },
  partition: (world) => {
    const sides = nodes(world).map((node) => ({ node, side: world.random.below(2) }));
    for (const a of sides) for (const b of sides) if (a.side !== b.side) world.network.block(a.node, b.node);
  },
  'one-way cut': (world) => {
    const from = world.random.pick(nodes(world));
    const to = world.random.pick(nodes(world));
    if (from !== to) world.network.block(from, to);
  },
  'leader cut off': (world) => {
    const leader = world.random.pick(leadersOrAll(world)).node;
    const isFromCoordinatorsToo = world.random.chance(0.5);
    const others = nodes(world).filter((node) => node < NODE_OF_COORDINATOR[0] || isFromCoordinatorsToo);
    for (const node of others) {
      if (node === leader) continue;
      world.network.block(leader, node);
      world.network.block(node, leader);
    }
    // What only the one cut off has taken is cut from its log when it comes back.
    world.after(world.random.between(20, 800), () => STRIKES['rival election'](world));
  },
  heal: (world) => {
    // One by one in any order (swizzle): what is half healed shows more than what is whole.
    const cuts = world.network.cuts();
    const spanMs = world.random.pick([0, 200, 2000]);
    for (const pair of cuts) {
      world.after(spanMs === 0 ? 0 : world.random.below(spanMs), () =>
        world.network.unblock(Math.floor(pair / NODE_COUNT), pair % NODE_COUNT),
      );
    }
  },
  'broken stream': (world) => someBroker(world).links.breakSome(),
  'coordinator restart': (world) => {
    const coordinator = world.random.pick(world.coordinators);
    coordinator.crash();
    world.after(world.random.between(50, 3000), () => coordinator.start());
  },
  'coordinator pause': (world) => {
    const coordinator = world.random.pick(world.coordinators);
    coordinator.pause();
    world.after(pauseMs(world), () => coordinator.resume());
  },
  'directory rolled back': (world) => world.directory.rollBack(),
  'directory wiped': (world) => world.directory.wipe(),
  'directory outage': (world) => {
    world.directory.isAway = true;
    world.after(world.random.between(500, 6000), () => {
      world.directory.isAway = false;
    });
  },
  'wall clock jump': (world) => {
    someBroker(world).wallOffsetMs += world.random.between(-900_000, 3_600_000);
  },
  damage: (world) => {
    const broker = someBroker(world);
    const partition = world.random.below(world.plan.partitionCount);
    const disk = broker.disks[partition];
    if (disk === undefined || !broker.isUp || broker.isPaused || !maySpare(world, broker)) return;
    disk.isDamaged = disk.configs.some(({ replicas }) => replicas.length > 1);
    broker.feed(partition, { kind: 'damaged' });
  },
  wipe: (world) => {
    const broker = someBroker(world);
    if (!maySpare(world, broker)) return;
    broker.wipe();
    broker.startLater(world.random.between(100, 2000));
  },
  trim: (world) => {
    for (const { replicas } of leadersOrAll(world)) {
      for (const replica of replicas) {
        const { state } = replica;
        if (state.role.kind !== 'leader') continue;
        const below = replica.disk.batches.filter(({ endOffset }) => endOffset <= state.highWatermark);
        if (below.length === 0) continue;
        replica.log.trim(world.random.pick(below).endOffset);
      }
    }
  },
  'rival election': (world) => {
    // A promise that elects nobody only deposes; one behind the leader's back leaves it to go on.
    const leader = world.random.chance(0.4) ? world.random.pick(leadersOrAll(world)).node : 0;
    const partition = world.random.below(world.plan.partitionCount);
    world.random.pick(world.coordinators).holdElection(partition, { without: leader, above: 0 });
  },
};

function crash(world: World, broker: Broker, how: Crash): void {
  broker.crash(how);
  broker.startLater(world.random.pick([20, 300, 2000]) + world.random.below(200));
}

function someBroker(world: World): Broker {
  return world.random.pick(world.brokers);
}

/** Half of the time whoever leads: faults are worth most there. */
function leadersOrAll(world: World): readonly Broker[] {
  const leaders = world.brokers.filter(({ replicas }) => replicas.some(({ state }) => state.role.kind === 'leader'));
  return leaders.length > 0 && world.random.chance(0.7) ? leaders : world.brokers;
}

function nodes(world: World): number[] {
  return [...world.brokers.map(({ node }) => node), ...NODE_OF_COORDINATOR];
}

function pauseMs(world: World): number {
  return world.random.pick([50, 500, 2500, 5000]) + world.random.below(300);
}

/** True when a replica may be lost for good: fewer than m ever, and an election quorum stays. */
function maySpare(world: World, broker: Broker): boolean {
  return world.oracles.every(({ survivors }, partition) =>
    setsAmong(world, partition, world.brokers).every((config) => {
      const { minInSyncReplicas, replicas } = config;
      const left = survivors.filter(({ identity }) => isIn(replicas, identity));
      const others = left.filter(({ identity }) => identity.brokerId !== broker.node);
      if (world.plan.changes !== undefined && others.length === left.length) return true;
      const good = others.filter(({ isSuspect }) => !isSuspect).length;
      const lostCount = replicas.length - left.length;
      return lostCount + 1 < minInSyncReplicas && good >= electionQuorumOf(config);
    }),
  );
}
