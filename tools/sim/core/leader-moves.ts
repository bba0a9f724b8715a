/** An operator, or a broker that is about to stop, who wants another leader now and then, by a coordinator right or wrong. */
import { TOPIC_ID } from './identities.ts';
import type { World } from './world.ts';

export class LeaderMoves {
  readonly #world: World;
  #isOver = false;

  constructor(world: World) {
    this.#world = world;
  }

  start(): void {
    const { moveEveryMs } = this.#world.plan;
    if (moveEveryMs === undefined) return;
    this.#world.tally.add('seeds with moves of leaders');
    this.#next(moveEveryMs);
  }

  stop(): void {
    this.#isOver = true;
  }

  #next(everyMs: number): void {
    const { moveRandom, plan } = this.#world;
    this.#world.after(everyMs * (0.3 + (1.4 * moveRandom.word()) / 2 ** 32), () => {
      if (this.#isOver) return;
      this.#move(moveRandom.below(plan.partitionCount));
      this.#next(everyMs);
    });
  }

  #move(partition: number): void {
    const { moveRandom, coordinators } = this.#world;
    const coordinator = moveRandom.pick(coordinators);
    const known = coordinator.state.partition(TOPIC_ID, partition);
    const successors = known?.config?.replicas.filter(({ brokerId }) => brokerId !== known.leader) ?? [];
    if (known?.live !== true || successors.length === 0) return;
    coordinator.moveLeader(partition, moveRandom.pick(successors), moveRandom.chance(0.1));
  }
}
