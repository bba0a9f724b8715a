import { v7 } from 'uuid';

/** Makes producer ids: UUIDs of version 7, by this machine's clock until a leader says that it is far off. */
export class ProducerIds {
  /** Leader's clock minus this machine's. */
  #aheadMs = 0;

  make(): Uint8Array {
    return v7({ msecs: Math.max(0, Date.now() + this.#aheadMs) }, new Uint8Array(16));
  }

  /** A leader refused an id by its age, and told its time. NaN = it did not. */
  noteLeaderTime(leaderTimeMs: number): void {
    if (Number.isFinite(leaderTimeMs)) this.#aheadMs = leaderTimeMs - Date.now();
  }
}
