/** All reassignments that are remembered, and which partitions have moves that are not done. */
import { partitionKey } from '@partita/domain';
import { isOpen } from './reassignment.ts';
import type { OpenMove, Reassignment } from './reassignment.ts';

export class ReassignmentBook {
  /** In the order in which they were asked for. */
  readonly #byId = new Map<string, Reassignment>();
  /** By partitionKey; rebuilt when a reassignment changes. */
  #openMoves = new Map<string, OpenMove[]>();

  all(): Iterable<Reassignment> {
    return this.#byId.values();
  }

  get(reassignmentId: string): Reassignment | undefined {
    return this.#byId.get(reassignmentId);
  }

  /** Moves of a partition without an outcome, in the order in which they were asked for. */
  openMovesOf(topicId: string, partition: number): readonly OpenMove[] {
    return this.#openMoves.get(partitionKey({ topicId, partition })) ?? [];
  }

  openMoves(): OpenMove[] {
    return [...this.#openMoves.values()].flat();
  }

  /** An older version of one that is known changes nothing. */
  put(reassignment: Reassignment): void {
    const { reassignmentId, version } = reassignment;
    if ((this.#byId.get(reassignmentId)?.version ?? 0) >= version) return;
    this.#byId.set(reassignmentId, reassignment);
    this.#index();
  }

  remove(reassignmentId: string): void {
    if (this.#byId.delete(reassignmentId)) this.#index();
  }

  #index(): void {
    this.#openMoves = new Map();
    for (const reassignment of this.#byId.values()) {
      if (!isOpen(reassignment)) continue;
      const { reassignmentId, reason, moves } = reassignment;
      for (const { outcome, errorReason: _none, ...move } of moves) {
        if (outcome !== 'open') continue;
        const key = partitionKey(move);
        const ofPartition = this.#openMoves.get(key) ?? [];
        this.#openMoves.set(key, [...ofPartition, { ...move, reassignmentId, reason }]);
      }
    }
  }
}
