/** What goes wrong, and when: a fault every so often, of a kind that the seed's weights choose. */
import type { ResetCommand } from '@partita/groups';
import { FAULTS } from './plan.ts';
import type { Fault } from './plan.ts';
import { MemberProcess } from './member-process.ts';
import type { ShardNode } from './shard-node.ts';
import { TOPIC_NAMES } from './topics.ts';
import type { World } from './world.ts';

export class Faults {
  readonly #world: World;
  #isOver = false;

  constructor(world: World) {
    this.#world = world;
  }

  start(): void {
    const { random, plan } = this.#world;
    this.#world.after(plan.faultEveryMs * (0.3 + (1.4 * random.word()) / 2 ** 32), () => {
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
    let left = random.below(FAULTS.reduce((total, fault) => total + plan.weights[fault], 0));
    for (const fault of FAULTS) {
      left -= plan.weights[fault];
      if (left < 0) return fault;
    }
    return 'member crash';
  }

  #strike(fault: Fault): void {
    this.#world.tally.add(`fault: ${fault}`);
    this.#world.note(() => `fault ${fault}`);
    STRIKES[fault](this.#world);
  }
}

/** Makes another instance, or the same, the owner: it is told at once, the one before a little later or too late. */
export function reassign(world: World, to: ShardNode, tellsOthersAfterMs: number): void {
  world.assigned = to;
  world.after(world.delayMs(), () => {
    if (world.assigned === to) to.assign();
  });
  for (const node of world.nodes) {
    if (node === to) continue;
    world.after(tellsOthersAfterMs, () => {
      if (world.assigned !== node) node.unassign();
    });
  }
}

const STRIKES: Readonly<Record<Fault, (world: World) => void>> = {
  'owner crash': (world) => {
    const node = world.random.chance(0.8) ? world.assigned : world.random.pick(world.nodes);
    node.crash();
    world.after(world.random.pick([20, 300, 1500]), () => node.start());
    if (world.random.chance(0.6)) reassign(world, world.random.pick(world.nodes), world.delayMs());
  },
  'owner pause': (world) => {
    const node = world.assigned;
    node.pause();
    world.after(pauseMs(world), () => node.resume());
    if (world.random.chance(0.7)) reassign(world, world.random.pick(world.nodes), world.random.between(10, 2000));
  },
  'shard to another owner': (world) => reassign(world, world.random.pick(world.nodes), world.delayMs()),
  'two owners': (world) => reassign(world, world.random.pick(world.nodes), world.random.between(100, 1500)),
  'leader away': (world) => {
    world.isLeaderAway = true;
    world.after(world.random.pick([30, 200, 600]), () => {
      world.isLeaderAway = false;
    });
  },
  'member crash': (world) => {
    const member = world.random.pick(world.members);
    if (member.phase === 'gone') return;
    member.crash();
    world.after(world.random.pick([10, 200, 1500]), () => {
      if (member.phase === 'away') member.start();
    });
  },
  'member pause': (world) => {
    const member = world.random.pick(world.members);
    member.pause();
    world.after(pauseMs(world), () => member.resume());
  },
  'member leave': (world) => {
    const member = world.random.pick(world.members);
    member.leave();
    world.after(world.random.pick([10, 500]), () => {
      if (member.phase === 'away') member.start();
    });
  },
  'member process replaced': (world) => {
    // The older process goes on until it is told, or longer when it is paused.
    const candidates = world.members.filter(({ instanceId, phase }) => instanceId !== '' && phase === 'member');
    if (candidates.length === 0) return;
    const older = world.random.pick(candidates);
    if (world.random.chance(0.5)) older.pause();
    world.after(pauseMs(world), () => older.resume());
    const newer = new MemberProcess(world, older.index, older.group, older.instanceId);
    world.members.push(newer);
    newer.start();
  },
  subscription: (world) => world.random.pick(world.members).subscribe(),
  'topic created': (world) => {
    world.topics.create(world.random.pick(TOPIC_NAMES), world.random.between(1, world.plan.partitionCount));
    world.announceTopics();
  },
  'topic deleted': (world) => {
    if (world.topics.delete(world.random.pick(TOPIC_NAMES))) world.announceTopics();
  },
  'partition added': (world) => {
    if (world.topics.grow(world.random.pick(TOPIC_NAMES))) world.announceTopics();
  },
  reset: (world) => {
    const groups = [...world.oracle.truth.values()];
    if (groups.length === 0) return;
    const group = world.random.pick(groups);
    const moves: ResetCommand['moves'][number][] = [];
    for (const { partition } of group.offsets.values()) {
      const end = world.topics.endOf(partition.topicId, partition.partition);
      if (end === undefined || world.random.chance(0.5)) continue;
      moves.push({ topic: partition.topicId, partition, nextOffset: BigInt(world.random.between(0, end)) });
    }
    const { wallMs } = world;
    world.assigned.submit({ kind: 'reset', group: group.id, moves, wallMs }, () => undefined);
  },
  expiry: (world) => {
    // What is gone is found at once in this world: time is not what this command is about.
    for (const group of world.oracle.truth.values()) {
      const gone = [...group.offsets.values()].filter(
        ({ partition }) => world.topics.byId(partition.topicId) === undefined,
      );
      const partitions = gone.map(({ partition }) => ({ ...partition }));
      world.assigned.submit({ kind: 'expire', group: group.id, partitions }, () => undefined);
    }
  },
  compaction: (world) => {
    const isRead = world.nodes.some(({ core }) => core?.phase === 'replaying');
    world.log.compact(world.random.below(world.log.endOffset + 1), !isRead);
    world.oracle.checkReplay();
  },
};

function pauseMs(world: World): number {
  return world.random.pick([50, 400, 1500]) + world.random.below(200);
}
