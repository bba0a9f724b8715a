/** What ties a member's process to an owner: ordered both ways, until it breaks. */
import type { PartitaError } from '@partita/domain';
import type { MemberProcess } from './member-process.ts';
import type { ShardNode } from './shard-node.ts';
import type { World } from './world.ts';

export class Stream {
  readonly member: MemberProcess;
  readonly node: ShardNode;
  readonly #world: World;
  #downAtMs = 0;
  #upAtMs = 0;

  constructor(world: World, member: MemberProcess, node: ShardNode) {
    this.#world = world;
    this.member = member;
    this.node = node;
  }

  /** To the owner, in order. */
  up(work: () => void): void {
    this.#upAtMs = Math.max(this.#upAtMs, this.#world.nowMs + this.#world.delayMs());
    this.#world.afterOf(this.node, this.#upAtMs - this.#world.nowMs, work);
  }

  /** To the member, in order, while it still listens to this stream. */
  down(work: () => void): void {
    this.#downAtMs = Math.max(this.#downAtMs, this.#world.nowMs + this.#world.delayMs());
    this.#world.afterOf(this.member, this.#downAtMs - this.#world.nowMs, () => {
      if (this.member.stream === this) work();
    });
  }

  /** Undefined = the owner is gone without a word. */
  end(error: PartitaError | undefined): void {
    this.down(() => this.member.onEnd(error));
  }
}
