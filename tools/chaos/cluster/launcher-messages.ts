/** What the process that runs a cluster under chaos is told, and what it answers. */
import type { RedisCommand } from '@partita/tool-dev/redis-server.ts';

export interface ClusterPlan {
  readonly home: string;
  readonly brokerCount: number;
  readonly coordinatorCount: number;
  readonly gatewayCount: number;
  readonly consumerGroupCount: number;
  readonly redisCommand: RedisCommand;
  /** False: everything on loopback. */
  readonly hasNetwork: boolean;
  /** Of libfaketime; absent = the clocks stay as they are. */
  readonly clockLibrary?: string;
}

/** One process of the cluster. */
export interface Member {
  /** `broker-1`, `coordinator-2`, `gateway`, `consumer-group-2`, `redis`. */
  readonly name: string;
  /** Where clients reach it. */
  readonly address: string;
  /** Absent while it is down. */
  readonly pid?: number;
}

/** `hold`: not started again when it dies, until it is released as often. */
export type Order =
  | { readonly do: 'members' }
  | { readonly do: 'hold'; readonly name: string }
  | { readonly do: 'release'; readonly name: string };

/** Each order has one answer with its number. */
export type Asked = Order & { readonly number: number };

export type Answer =
  | { readonly kind: 'ready' }
  | { readonly kind: 'failed'; readonly why: string }
  | { readonly kind: 'death'; readonly text: string }
  | {
      readonly kind: 'done';
      readonly number: number;
      readonly members: readonly Member[];
      /** Empty = it was done. */
      readonly error: string;
    };

/** Every process of a cluster of that size, and a place for one more broker. */
export function namesOf(plan: ClusterPlan): string[] {
  const instances = (name: string, count: number): string[] =>
    Array.from({ length: count }, (_, index) => (index === 0 ? name : `${name}-${index + 1}`));
  const numbered = (name: string, count: number): string[] =>
    Array.from({ length: count }, (_, index) => `${name}-${index + 1}`);
  return [
    REDIS,
    ...numbered('coordinator', plan.coordinatorCount),
    ...numbered('broker', plan.brokerCount),
    ...instances('gateway', plan.gatewayCount),
    ...instances('consumer-group', plan.consumerGroupCount),
    GUEST,
  ];
}

export const REDIS = 'redis';
/** A broker that the cluster does not know of. */
export const GUEST = 'guest';
