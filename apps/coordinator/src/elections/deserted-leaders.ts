/**
 * A leader that is cut off from its followers, and from nobody else, stays up and can commit nothing. Once that has lasted,
 * the others elect one of themselves without it, as if it were silent; it hears of that from here, and follows.
 */
import { desertedLeaders } from '@partita/cluster';
import { partitionKey, SESSION_SILENCE_MS_MAX } from '@partita/domain';
import type { Clock } from '@partita/domain';
import type { Logger } from '@partita/runtime';
import type { ClusterModel } from '../cluster-model.ts';
import type { Elections } from './elections.ts';
import type { Lease } from '../directory/lease.ts';

export interface DesertedLeadersOptions {
  readonly model: ClusterModel;
  readonly lease: Pick<Lease, 'mayOrder'>;
  readonly elections: Pick<Elections, 'electNow'>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** When the next leader is deserted too, it is not the leader's fault: leaders change ever more slowly. */
const WAIT_MS_MAX = 60_000;

interface Desertion {
  readonly sinceMs: number;
  readonly waitMs: number;
}

export class DesertedLeaders {
  readonly #options: DesertedLeadersOptions;
  /** By partitionKey; monotonic milliseconds. */
  #desertions = new Map<string, Desertion>();
  readonly #electing = new Set<string>();

  constructor(options: DesertedLeadersOptions) {
    this.#options = options;
  }

  /** Looks who has been deserted for long enough. Call it now and then. */
  run(): void {
    const { model, lease, clock } = this.#options;
    const nowMs = clock.monotonicMs();
    const desertions = new Map<string, Desertion>();
    if (lease.mayOrder()) {
      for (const deserted of desertedLeaders(model.state)) {
        const key = partitionKey(deserted);
        const known = this.#desertions.get(key) ?? { sinceMs: nowMs, waitMs: SESSION_SILENCE_MS_MAX };
        const isDue = nowMs - known.sinceMs >= known.waitMs && !this.#electing.has(key);
        const next = { sinceMs: nowMs, waitMs: Math.min(2 * known.waitMs, WAIT_MS_MAX) };
        desertions.set(key, isDue ? next : known);
        if (isDue) void this.#elect(deserted);
      }
    }
    this.#desertions = desertions;
  }

  /** Never rejects: what fails is tried again after a longer wait. */
  async #elect({ topicId, partition, leader }: ReturnType<typeof desertedLeaders>[number]): Promise<void> {
    const { elections, logger } = this.#options;
    const key = partitionKey({ topicId, partition });
    logger.warn({ topicId, partition, leader }, 'followers do not hear their leader: electing another');
    this.#electing.add(key);
    try {
      const why = await elections.electNow({ topicId, partition }, undefined, 0, leader);
      if (why !== undefined) logger.warn({ topicId, partition, why }, 'no other leader was elected');
    } catch (error) {
      logger.warn({ topicId, partition, why: String(error) }, 'no other leader was elected');
    } finally {
      this.#electing.delete(key);
    }
  }
}
