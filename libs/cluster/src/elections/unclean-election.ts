/**
 * Elections that an operator asks for and that may lose committed records. They take promises as every election does, so that
 * no two replicas ever lead one epoch; what they give up is that the leader holds everything.
 */
import { compareLogs, configsInForce, evaluatePromises } from './leader-election.ts';
import type { ElectionOutcome, ElectionPlan, PromiseReply } from './leader-election.ts';
import { sameReplica } from '../inventory.ts';
import type { ReplicaConfig } from '../inventory.ts';

type Elected = Extract<ElectionOutcome, { kind: 'elected' }>;
type Judge = (plan: ElectionPlan, replies: readonly PromiseReply[]) => ElectionOutcome;

/** The replica of one broker, whatever it holds, suspect or not. It alone has to promise. */
export function forceLeader(brokerId: number): Judge {
  return (plan, replies) => {
    const newest = newestConfig(plan, replies);
    const named = replies.find(({ replica }) => replica.brokerId === brokerId && isMember(newest, replica));
    if (named?.granted !== true) return failed(replies, `broker ${brokerId} gave no promise`);
    // Somebody promised more, so this epoch is not above all known: the next attempt is.
    if (highestPromise(replies) > plan.epoch) return failed(replies, 'a replica has promised a higher epoch');
    return unclean(named, plan, replies);
  };
}

/**
 * The best log among all replicas, suspect ones too. Only when every replica has promised: a better one may be on the one that
 * is missing. Clean when the promises suffice for an ordinary election after all.
 */
export const recoverBestLog: Judge = (plan, replies) => {
  const ordinary = evaluatePromises(plan, replies);
  if (ordinary.kind === 'elected') return ordinary;
  const newest = newestConfig(plan, replies);
  const granted = replies.filter((reply) => reply.granted && isMember(newest, reply.replica));
  if (granted.length < newest.replicas.length)
    return failed(replies, `${granted.length} of all ${newest.replicas.length} replicas gave a promise`);
  const rank = ({ replica }: PromiseReply) => newest.replicas.findIndex((member) => sameReplica(member, replica));
  const [best] = granted.toSorted((a, b) => compareLogs(rank, a, b));
  return best === undefined ? failed(replies, 'there is no replica') : unclean(best, plan, replies);
};

function unclean(best: PromiseReply, plan: ElectionPlan, replies: readonly PromiseReply[]): Elected {
  const { replica: leader, lastEpoch, logEndOffset } = best;
  const [config = plan.config] = configsInForce(plan.config, replies) ?? [];
  return { kind: 'elected', leader, lastEpoch, logEndOffset, config, unclean: true };
}

function failed(replies: readonly PromiseReply[], why: string): ElectionOutcome {
  return { kind: 'failed', why, promisedEpoch: highestPromise(replies) };
}

function highestPromise(replies: readonly PromiseReply[]): number {
  return Math.max(0, ...replies.map(({ promisedEpoch }) => promisedEpoch));
}

/** The newest in force as far as the replies tell. */
function newestConfig(plan: ElectionPlan, replies: readonly PromiseReply[]): ReplicaConfig {
  return configsInForce(plan.config, replies)?.at(-1) ?? plan.config;
}

function isMember(config: ReplicaConfig, replica: PromiseReply['replica']): boolean {
  return config.replicas.some((member) => sameReplica(member, replica));
}
