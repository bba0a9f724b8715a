/** Processes that die, and come back when the fault is over. */
import { setTimeout as sleep } from 'node:timers/promises';
import { all, majorityOfBrokers, the } from './fault.ts';
import type { Fault, Injected, Stage, Target } from './fault.ts';

/** Until the next broker, when each is killed in turn: less than any of them needs to catch up. */
const TURN_MS = 1500;

/** kill -9, and down while the fault lasts. */
async function kill(stage: Stage, target: Target): Promise<Injected> {
  const victims = await target(stage);
  await stage.cluster.holdDown(victims);
  return { target: victims.join(), heal: () => stage.cluster.release(victims) };
}

function killing(name: string, says: string, target: Target): Fault {
  return { name, says, needs: [], mixes: true, inject: (stage) => kill(stage, target) };
}

/** Each is back before the next dies, but has not caught up. */
const inTurn: Fault = {
  name: 'brokers-killed-in-turn',
  says: 'every broker is killed with kill -9, one after the other, and started again at once',
  needs: [],
  mixes: true,
  inject: async (stage) => {
    const victims = await stage.roles.namesOf('broker');
    for (const victim of victims) {
      await stage.cluster.holdDown([victim]);
      await stage.cluster.release([victim]);
      await sleep(TURN_MS);
    }
    return { target: victims.join(), heal: async () => undefined };
  },
};

export const KILLS: readonly Fault[] = [
  killing('leader-killed', 'kill -9 of the broker that leads most partitions', the('leader')),
  killing('follower-killed', 'kill -9 of a broker that follows', the('follower')),
  killing('brokers-killed', 'kill -9 of all brokers at once', all('broker')),
  killing('majority-killed', 'kill -9 of more than half of the brokers, the leader among them', majorityOfBrokers),
  killing('coordinator-killed', 'kill -9 of the active coordinator', the('active-coordinator')),
  killing('standby-killed', 'kill -9 of the standby coordinator', the('standby-coordinator')),
  killing('coordinators-killed', 'kill -9 of all coordinators', all('coordinator')),
  killing('shard-owner-killed', "kill -9 of the instance that has the group's shard", the('shard-owner')),
  killing('gateway-killed', 'kill -9 of a producer-gateway', the('gateway')),
  killing('redis-killed', 'kill -9 of Redis, which comes back with its file', the('redis')),
  inTurn,
];
