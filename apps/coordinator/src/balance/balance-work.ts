/** The wiring of balance: the cluster's settings, who is emptied, what evens out, what operators order, and the doctor. */
import type { Clock } from '@partita/domain';
import type { MetadataStore } from '@partita/metadata-store';
import type { Logger } from '@partita/runtime';
import type { AuditLog } from '../directory/audit-log.ts';
import { Balancer } from './balancer.ts';
import { RoleWatch } from './balance-roles.ts';
import type { ClusterModel } from '../cluster-model.ts';
import { Diagnosis } from '../diagnosis/diagnosis.ts';
import type { DirectoryPublisher } from '../directory/directory-publisher.ts';
import type { Lease } from '../directory/lease.ts';
import { OperatorBalance } from './operator-balance.ts';
import type { Reassignments } from '../replica-sets/reassignments.ts';
import { SettingsDesk } from './settings-desk.ts';

export interface BalanceWorkOptions {
  readonly model: ClusterModel;
  readonly store: MetadataStore;
  readonly lease: Lease;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly audit: AuditLog;
  readonly publisher: DirectoryPublisher;
  readonly reassignments: Reassignments;
  readonly replaceAfterMs: number;
  readonly storeState: () => string;
  readonly clockOffsetsMs: () => ReadonlyMap<number, number>;
}

export interface BalanceWork {
  readonly desk: SettingsDesk;
  readonly operatorBalance: OperatorBalance;
  readonly diagnosis: Diagnosis;
  /** Called each RECONCILE_MS. */
  run(): void;
}

export function balanceWork(options: BalanceWorkOptions): BalanceWork {
  const watch = new RoleWatch(options);
  const desk = new SettingsDesk(options);
  const balancer = new Balancer({ ...options, watch });
  const diagnosis = new Diagnosis({ ...options, watch, balancer });
  const operatorBalance = new OperatorBalance({ ...options, desk, balancer, watch });
  return {
    desk,
    operatorBalance,
    diagnosis,
    run() {
      watch.observe();
      desk.reconcile();
      diagnosis.observe();
      balancer.run();
    },
  };
}
