/** Replicas on their way while other things happen: no faults themselves, but what makes the others worse. */
import { randomUUID } from 'node:crypto';
import { ClusterServiceService, ReassignmentState, ReplicaMove } from '@partita/protocol';
import type { Partition } from '@partita/protocol';
import { until } from '@partita/tool-dev/until.ts';
import { askCoordinators } from '../cluster/coordinator-calls.ts';
import type { ChaosCluster } from '../cluster/chaos-cluster.ts';
import type { Fault } from './fault.ts';

const ANSWER_SECONDS_MAX = 60;
/** A move waits for the brokers that it needs. */
const MOVE_SECONDS_MAX = 120;

interface Move {
  readonly topic: string;
  readonly partition: number;
  readonly from: number;
  readonly to: number;
}

/** Answers the id of the reassignment. */
async function begin(
  cluster: ChaosCluster,
  { topic, partition, from, to }: Move,
  secondsMax = ANSWER_SECONDS_MAX,
): Promise<string> {
  const move = ReplicaMove.fromPartial({ partition: { topic, partition }, fromBrokerId: from, toBrokerId: to });
  const request = { moves: [move], validateOnly: false, requestId: randomUUID() };
  const method = ClusterServiceService.createReassignment;
  const { reassignment } = await askCoordinators(cluster, method, { request, secondsMax });
  return reassignment?.reassignmentId ?? '';
}

async function untilMoved(cluster: ChaosCluster, reassignmentId: string): Promise<void> {
  await until(`the end of the move ${reassignmentId}`, MOVE_SECONDS_MAX, async () => {
    const method = ClusterServiceService.getReassignment;
    const asked = { request: { reassignmentId }, secondsMax: ANSWER_SECONDS_MAX };
    const { reassignment } = await askCoordinators(cluster, method, asked);
    if (reassignment?.state === ReassignmentState.REASSIGNMENT_STATE_SUCCEEDED) return true;
    throw new Error(`it is in state ${reassignment?.state}, its moves: ${JSON.stringify(reassignment?.moves)}`);
  });
}

function membersOf(partition: Partition | undefined): number[] {
  return partition?.replicas.map(({ brokerId }) => brokerId) ?? [];
}

const moved: Fault = {
  name: 'replica-moved',
  says: 'a replica moves to a broker that has none of the partition, and back',
  needs: [],
  mixes: true,
  inject: async ({ cluster, roles, random }) => {
    const topic = await roles.topic();
    const { partition } = random.pick(topic.partitions);
    const members = membersOf(topic.partitions[partition]);
    const strangers = cluster.file.brokers.map(({ id }) => id).filter((id) => !members.includes(id));
    if (strangers.length === 0) throw new Error('every broker has a replica already');
    const move = { topic: topic.name, partition, from: random.pick(members), to: random.pick(strangers) };
    const away = await begin(cluster, move);
    const heal = async (): Promise<void> => {
      await untilMoved(cluster, away);
      const back = await until('the way back', ANSWER_SECONDS_MAX, async () => {
        const now = membersOf((await roles.topic()).partitions[partition]);
        // The balance of the cluster may have gone on from there.
        if (now.includes(move.from) || !now.includes(move.to)) return 'none';
        return begin(cluster, { ...move, from: move.to, to: move.from }, 1);
      });
      if (back !== 'none') await untilMoved(cluster, back);
    };
    return { target: `partition ${partition} from broker-${move.from} to broker-${move.to}`, heal };
  },
};

const drained: Fault = {
  name: 'broker-drained',
  says: 'the leader gives all that it has to the others, until it is told to keep the rest',
  needs: [],
  mixes: true,
  inject: async ({ cluster, roles }) => {
    const victim = await roles.nameOf('leader');
    const drain = async (cancel: boolean): Promise<void> => {
      const request = { brokerId: Number(victim.slice('broker-'.length)), replicas: true, validateOnly: false, cancel };
      const method = ClusterServiceService.drainBroker;
      await askCoordinators(cluster, method, { request, secondsMax: ANSWER_SECONDS_MAX });
    };
    await drain(false);
    return { target: victim, heal: () => drain(true) };
  },
};

export const REPLICA_MOVES: readonly Fault[] = [moved, drained];
