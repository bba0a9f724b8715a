/** DiagnoseCluster: gathers what the rules look at, and tells what they found. */
import { setTimeout as sleep } from 'node:timers/promises';
import { effectiveClusterSettings } from '@partita/cluster';
import type { Clock } from '@partita/domain';
import type { MetadataStore } from '@partita/metadata-store';
import { FindingSeverity } from '@partita/protocol';
import type { DiagnoseClusterResponse } from '@partita/protocol';
import type { Balancer } from '../balance/balancer.ts';
import type { RoleWatch } from '../balance/balance-roles.ts';
import type { ClusterModel } from '../cluster-model.ts';
import { diagnose, lookedAtCount } from './diagnose.ts';
import type { ClusterSight, Severity } from './finding.ts';
import { StallWatch } from './stall-watch.ts';

export interface DiagnosisOptions {
  readonly model: ClusterModel;
  readonly store: MetadataStore;
  readonly clock: Clock;
  readonly watch: RoleWatch;
  readonly balancer: Pick<Balancer, 'plan'>;
  /** `up`, `down`, `suspect` or `embedded`. */
  readonly storeState: () => string;
  readonly clockOffsetsMs: () => ReadonlyMap<number, number>;
}

/** What passes by itself passes in this time: a heartbeat, and a write to the metadata store. */
const SECOND_LOOK_MS = 1500;

const SEVERITIES: Readonly<Record<Severity, FindingSeverity>> = {
  error: FindingSeverity.FINDING_SEVERITY_ERROR,
  warning: FindingSeverity.FINDING_SEVERITY_WARNING,
  note: FindingSeverity.FINDING_SEVERITY_NOTE,
};

export class Diagnosis {
  readonly #options: DiagnosisOptions;
  readonly #stalls = new StallWatch();

  constructor(options: DiagnosisOptions) {
    this.#options = options;
  }

  /** Called each RECONCILE_MS. */
  observe(): void {
    this.#stalls.observe(this.#options.model.state, this.#options.clock.monotonicMs());
  }

  async run(): Promise<DiagnoseClusterResponse> {
    const now = await this.#look();
    const found = await diagnose(now, async () => {
      await sleep(SECOND_LOOK_MS);
      return this.#look();
    });
    return {
      findings: found.map(({ severity, ...finding }) => ({ ...finding, severity: SEVERITIES[severity] })),
      checkCount: lookedAtCount(now),
    };
  }

  async #look(): Promise<ClusterSight> {
    const { model, store, clock, watch, balancer, storeState, clockOffsetsMs } = this.#options;
    const { state } = model;
    // What the store cannot tell is a finding of its own.
    const snapshot = store.state === 'up' ? await store.readAll().catch(() => undefined) : undefined;
    return {
      state,
      roles: watch.roles(),
      autoBalance: effectiveClusterSettings(state.settings()).autoBalance,
      plan: balancer.plan(),
      nowMs: clock.wallMs(),
      storeState: storeState(),
      stored: snapshot?.partitions,
      clockOffsetsMs: clockOffsetsMs(),
      stalled: this.#stalls.stalled(state, clock.monotonicMs()),
    };
  }
}
