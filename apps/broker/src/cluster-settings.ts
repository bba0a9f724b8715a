/**
 * The settings of the cluster, as far as this broker has heard (`cluster-settings` in the journal): it acts by them, and
 * gives them back to a coordinator whose directory was lost. The newest version holds, whoever told it.
 */
import { MOVE_BYTES_PER_SECOND_DEFAULT, MOVE_BYTES_PER_SECOND_MIN } from '@partita/domain';
import type { Journal } from '@partita/log';
import { ClusterSettings } from '@partita/protocol';
import type { Quota } from '@partita/protocol';
import { CLUSTER_SETTINGS_KEY } from './journal-keys.ts';

export class HeardSettings {
  readonly #journal: Journal;
  /** The newest heard; durable a moment later. */
  #newest: ClusterSettings | undefined;

  constructor(journal: Journal) {
    this.#journal = journal;
    this.#newest = storedSettings(journal);
  }

  /** What this broker has stored; undefined before it has heard of any. */
  get stored(): ClusterSettings | undefined {
    return storedSettings(this.#journal);
  }

  /** Bytes a second that this broker may send to replicas that are being made. */
  get moveBytesPerSecond(): number {
    const rate = this.#newest?.moveBytesPerSecond;
    return rate === undefined ? MOVE_BYTES_PER_SECOND_DEFAULT : Math.max(Number(rate), MOVE_BYTES_PER_SECOND_MIN);
  }

  /** The quotas of the cluster. */
  get quotas(): readonly Quota[] {
    return this.#newest?.quotas ?? [];
  }

  /** Takes newer ones in; resolves when they are durable. A rejection means that the journal failed. */
  async hear(settings: ClusterSettings | undefined): Promise<void> {
    if (settings === undefined || settings.version <= (this.#newest?.version ?? 0n)) return;
    this.#newest = settings;
    await this.#journal.put(new Map([[CLUSTER_SETTINGS_KEY, ClusterSettings.encode(settings).finish()]]));
  }
}

function storedSettings(journal: Journal): ClusterSettings | undefined {
  const stored = journal.get(CLUSTER_SETTINGS_KEY);
  return stored === undefined ? undefined : ClusterSettings.decode(stored);
}
