/** The settings of the cluster: one step in memory, then in the directory; brokers hear of them through their sessions. */
import { changeClusterSettings, readmitBrokers } from '@partita/cluster';
import type { ClusterSettings, Decision, SettingsChange } from '@partita/cluster';
import { PartitaError } from '@partita/domain';
import type { MetadataStore } from '@partita/metadata-store';
import { TopicSettings } from '@partita/protocol';
import type { EffectiveSetting, UpdateClusterSettingsRequest } from '@partita/protocol';
import type { AuditLog } from '../directory/audit-log.ts';
import { settingsEntry, settingsShown } from '../directory/cluster-settings-codec.ts';
import type { ClusterModel } from '../cluster-model.ts';
import type { Lease } from '../directory/lease.ts';

export interface SettingsDeskOptions {
  readonly model: ClusterModel;
  readonly store: MetadataStore;
  readonly lease: Lease;
  readonly audit: AuditLog;
}

export class SettingsDesk {
  readonly #options: SettingsDeskOptions;

  constructor(options: SettingsDeskOptions) {
    this.#options = options;
  }

  /** Changes what the request names, and answers what holds now. INVALID_SETTING, and what `decide` throws. */
  async update(request: UpdateClusterSettingsRequest, clientId: string): Promise<EffectiveSetting[]> {
    const change = changeOf(request);
    if (Object.keys(change).length > 0) {
      const settings = await this.decide((model) => changeClusterSettings(model.state, change));
      const { autoBalance, moveBytesPerSecond } = settings;
      this.#options.audit.note('settings_update', 'cluster', clientId, { autoBalance, moveBytesPerSecond });
    }
    return settingsShown(this.#options.model.state.settings());
  }

  /**
   * Takes a decision on the settings; resolves when the directory has it. METADATA_STORE_UNAVAILABLE or REBUILDING when that is
   * not known: the change holds, and is written as soon as it can be.
   */
  async decide(decision: (model: ClusterModel) => Decision<ClusterSettings>): Promise<ClusterSettings> {
    const { model, store, lease } = this.#options;
    const token = lease.requireWritable();
    const settings = model.run(decision(model));
    const entry = settingsEntry(settings);
    if (entry === undefined) return settings;
    const outcome = await store.putSettings(token, entry);
    if (outcome.status !== 'rolled_back') return settings;
    lease.lostWrites(outcome);
    throw new PartitaError('REBUILDING', 'the directory is being written anew: repeat in a few seconds');
  }

  /** Removed brokers that have come again are like any other. */
  reconcile(): void {
    const { model, lease } = this.#options;
    if (lease.anchoredToken() !== undefined) model.apply(readmitBrokers(model.state));
  }
}

function changeOf({ topicDefaults, autoBalance, moveBytesPerSecond }: UpdateClusterSettingsRequest): SettingsChange {
  if (topicDefaults !== undefined && TopicSettings.encode(topicDefaults).finish().length > 0) {
    throw new PartitaError(
      'INVALID_SETTING',
      'topic_defaults cannot be set yet: give each topic its settings (partita topic update)',
      { setting: 'topic_defaults' },
    );
  }
  const [least, most] = [BigInt(Number.MIN_SAFE_INTEGER), BigInt(Number.MAX_SAFE_INTEGER)];
  if (moveBytesPerSecond !== undefined && (moveBytesPerSecond < least || moveBytesPerSecond > most)) {
    throw new PartitaError('INVALID_SETTING', 'move_bytes_per_second is beyond 2^53', {
      setting: 'move_bytes_per_second',
      value: String(moveBytesPerSecond),
    });
  }
  return {
    ...(autoBalance === undefined ? {} : { autoBalance }),
    ...(moveBytesPerSecond === undefined ? {} : { moveBytesPerSecond: Number(moveBytesPerSecond) }),
  };
}
