/** Processes that stand still with all their connections open, and go on as if nothing had happened. */
import { sendSignal } from '../cluster/chaos-cluster.ts';
import { the } from './fault.ts';
import type { Fault, Target } from './fault.ts';

function freezing(name: string, says: string, target: Target): Fault {
  return {
    name,
    says,
    needs: [],
    mixes: true,
    inject: async (stage) => {
      const victims = await target(stage);
      const pids = await stage.cluster.signal(victims, 'SIGSTOP');
      // The same processes: one that was killed meanwhile has a successor that nobody stopped.
      const heal = async (): Promise<void> => pids.forEach((pid) => sendSignal(pid, 'SIGCONT'));
      return { target: victims.join(), heal };
    },
  };
}

export const FREEZES: readonly Fault[] = [
  freezing('leader-stopped', 'SIGSTOP of the broker that leads most partitions', the('leader')),
  freezing('follower-stopped', 'SIGSTOP of a broker that follows', the('follower')),
  freezing('coordinator-stopped', 'SIGSTOP of the active coordinator', the('active-coordinator')),
  freezing('shard-owner-stopped', "SIGSTOP of the instance that has the group's shard", the('shard-owner')),
  freezing('gateway-stopped', 'SIGSTOP of a producer-gateway', the('gateway')),
  freezing('redis-stopped', 'SIGSTOP of Redis', the('redis')),
];
