/** What happens to a cluster: found its target, done, and undone. */
import type { SeededRandom } from '@partita/testkit';
import type { ChaosCluster } from '../cluster/chaos-cluster.ts';
import type { Role, Roles } from '../roles.ts';

/** Where faults happen. */
export interface Stage {
  readonly cluster: ChaosCluster;
  readonly roles: Roles;
  /** Decides what a fault leaves open. */
  readonly random: SeededRandom;
}

/** What a fault needs of the machine. */
export type Need = 'network' | 'clocks';

export interface Injected {
  /** What was hit, for people: `broker-2`. */
  readonly target: string;
  /** Resolves when the cause is gone; the cluster recovers by itself from then on. Rejects when it saw what must not be. */
  readonly heal: () => Promise<void>;
}

export interface Fault {
  /** On the command line and in reports: `leader-killed`. */
  readonly name: string;
  /** What happens, one line. */
  readonly says: string;
  readonly needs: readonly Need[];
  /** False: never while another fault lasts, which would take the copies that this one leaves. */
  readonly mixes: boolean;
  readonly inject: (stage: Stage) => Promise<Injected>;
}

/** The processes that a fault hits, as they are found when it happens. */
export type Target = (stage: Stage) => Promise<readonly string[]>;

export function the(role: Role): Target {
  return async ({ roles }) => [await roles.nameOf(role)];
}

export function all(service: string): Target {
  return ({ roles }) => roles.namesOf(service);
}

/** More than half of them, the leader among them. */
export const majorityOfBrokers: Target = async ({ roles }) => {
  const leader = await roles.nameOf('leader');
  const others = (await roles.namesOf('broker')).filter((name) => name !== leader);
  return [leader, ...others].slice(0, Math.floor((others.length + 1) / 2) + 1);
};
