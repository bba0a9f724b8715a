/**
 * A broker that is about to stop goes on serving until others lead what they can: then no append has to wait for its
 * absence to be noticed. The coordinator moves the leaders, once a heartbeat has told it.
 */
import { LEADER_DRAIN_MS_MAX } from '@partita/domain';
import type { Clock, Timers } from '@partita/domain';
import { BrokerState } from '@partita/protocol';
import type { Broker } from '@partita/protocol';
import { inSyncIds } from '@partita/replication';
import type { DirectoryView } from '@partita/rpc/server';
import type { StateLines } from '@partita/runtime';
import type { PartitionActor } from './partition-actor.ts';
import type { PartitionRegistry } from './partition-registry.ts';

export interface HandOverOptions {
  readonly registry: Pick<PartitionRegistry, 'actors'>;
  readonly directory: Pick<DirectoryView, 'snapshot'>;
  /** True while some coordinator has this broker registered: nobody else moves leaders. */
  readonly hasCoordinator: () => boolean;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly lines: Pick<StateLines, 'write'>;
}

const LOOK_MS = 50;

/** Resolves when nothing is led here that another in-sync replica could lead, or when there is nobody to wait for. */
export async function handOver(options: HandOverOptions): Promise<void> {
  const { clock, timers, lines } = options;
  const beganMs = clock.monotonicMs();
  if (movableCount(options) === 0) return;
  lines.write('broker gives up its leaders', { leaders: leadersOf(options).length });
  let why: string | undefined;
  while (movableCount(options) > 0 && why === undefined) {
    await new Promise<void>((resolve) => timers.after(LOOK_MS, resolve));
    why = whyNoLonger(options, clock.monotonicMs() - beganMs);
  }
  const left = movableCount(options) > 0 ? why : '';
  const duration_ms = Math.round(clock.monotonicMs() - beganMs);
  lines.write('broker leads nothing', { left: leadersOf(options).length, why: left, duration_ms });
}

function leadersOf({ registry }: HandOverOptions): PartitionActor[] {
  return [...registry.actors()].filter(({ leader }) => leader !== undefined);
}

/** Partitions that are led here while another in-sync replica is on a broker that stays. */
function movableCount(options: HandOverOptions): number {
  const { brokers } = options.directory.snapshot();
  const isUp = ({ state }: Broker) => state === BrokerState.BROKER_STATE_UP;
  const staying = new Set(brokers.filter(isUp).map(({ brokerId }) => brokerId));
  const isMovable = ({ state, leader }: PartitionActor) =>
    leader !== undefined && inSyncIds(state, leader).some((id) => id !== state.self.brokerId && staying.has(id));
  return leadersOf(options).filter(isMovable).length;
}

function whyNoLonger({ hasCoordinator }: HandOverOptions, waitedMs: number): string | undefined {
  if (!hasCoordinator()) return 'no coordinator answers';
  return waitedMs < LEADER_DRAIN_MS_MAX ? undefined : `others do not lead after ${LEADER_DRAIN_MS_MAX / 1000} s`;
}
