/** Notes how far open reassignments are, to tell those that do not come on. */
import { isOpen } from '@partita/cluster';
import type { ClusterState, Reassignment } from '@partita/cluster';
import { partitionKey } from '@partita/domain';

/** An open reassignment without any change for this long is stalled. */
const STALLED_MS = 60_000;

export class StallWatch {
  readonly #seen = new Map<string, { readonly progress: string; readonly sinceMs: number }>();

  /** Called now and then, with the monotonic clock. */
  observe(state: ClusterState, nowMs: number): void {
    const open = new Set<string>();
    for (const reassignment of state.reassignments.all()) {
      if (!isOpen(reassignment)) continue;
      const id = reassignment.reassignmentId;
      open.add(id);
      const progress = progressOf(state, reassignment);
      if (this.#seen.get(id)?.progress !== progress) this.#seen.set(id, { progress, sinceMs: nowMs });
    }
    for (const id of [...this.#seen.keys()]) if (!open.has(id)) this.#seen.delete(id);
  }

  stalled(state: ClusterState, nowMs: number): { reassignment: Reassignment; forMs: number }[] {
    return [...this.#seen].flatMap(([id, { sinceMs }]) => {
      const reassignment = state.reassignments.get(id);
      const forMs = nowMs - sinceMs;
      return reassignment === undefined || forMs < STALLED_MS ? [] : [{ reassignment, forMs }];
    });
  }
}

/** Changes with each move that ends, each new replica set and each byte that is copied. */
function progressOf(state: ClusterState, { version, moves }: Reassignment): string {
  const parts = moves
    .filter(({ outcome }) => outcome === 'open')
    .map((move) => {
      const report = state.broker(move.toBrokerId)?.replicas.get(partitionKey(move));
      const set = state.partition(move.topicId, move.partition)?.config?.configVersion ?? 0;
      return `${set}/${report?.logEndOffset ?? 0n}`;
    });
  return `${version} ${parts.join(' ')}`;
}
