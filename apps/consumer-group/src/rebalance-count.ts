/** Counts the new assignments of a shard's groups: each raises the group's epoch, in a record that is durable by then. */
import type { ShardState } from '@partita/groups';
import type { GroupMeter } from './group-meter.ts';
import type { ShardListener } from './shard-owner.ts';

/** A group whose first record is a commit has this epoch; the first member's assignment is the next. */
const EPOCH_BEFORE_FIRST = 1;

export class RebalanceCount implements ShardListener {
  readonly #next: ShardListener;
  readonly #meter: GroupMeter;
  readonly #state: () => ShardState;
  /** Epochs that were counted, by group; as many as the shard has groups. */
  readonly #epochs = new Map<string, number>();

  /** Stands in front of another listener. */
  constructor(next: ShardListener, meter: GroupMeter, state: () => ShardState) {
    this.#next = next;
    this.#meter = meter;
    this.#state = state;
  }

  /** What was assigned before, here or by another owner, is not counted (again). */
  onServing(): void {
    this.#epochs.clear();
    for (const [id, { value }] of this.#state()) if (value !== undefined) this.#epochs.set(id, value.groupEpoch);
    this.#next.onServing();
  }

  onChanged(groups: ReadonlySet<string>, decidedMs: number): void {
    const state = this.#state();
    for (const id of groups) this.#look(id, state.get(id)?.value?.groupEpoch);
    this.#next.onChanged(groups, decidedMs);
  }

  #look(id: string, epoch: number | undefined): void {
    if (epoch === undefined) {
      this.#epochs.delete(id);
      return;
    }
    const before = this.#epochs.get(id) ?? EPOCH_BEFORE_FIRST;
    if (epoch > before) this.#meter.rebalanced(id, epoch - before);
    this.#epochs.set(id, epoch);
  }
}
