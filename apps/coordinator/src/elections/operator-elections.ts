/**
 * Elections that an operator asks for: another leader among equal logs, or one that may lack committed records. Each is noted in
 * the audit trail with who asked and why.
 */
import { canElect, forceLeader, liveReplica, recoverBestLog } from '@partita/cluster';
import type { ClusterPartition, ClusterTopic } from '@partita/cluster';
import { PartitaError } from '@partita/domain';
import type { ErrorReason } from '@partita/domain';
import type {
  ElectionResult,
  ElectLeadersRequest,
  ForceLeaderRequest,
  PartitionRef,
  RecoverBestLogRequest,
} from '@partita/protocol';
import type { AuditDetails, AuditLog } from '../directory/audit-log.ts';
import type { ClusterModel } from '../cluster-model.ts';
import type { Judge } from './election-calls.ts';
import type { Elections } from './elections.ts';
import type { LeaderMoves } from './leader-moves.ts';
import type { Lease } from '../directory/lease.ts';

export interface OperatorElectionsOptions {
  readonly model: ClusterModel;
  readonly lease: Lease;
  readonly elections: Elections;
  readonly moves: LeaderMoves;
  readonly audit: AuditLog;
}

interface Place {
  readonly topic: ClusterTopic;
  readonly known: ClusterPartition;
}

/** Elections of one request under way at once. */
const AT_ONCE_COUNT = 16;

export class OperatorElections {
  readonly #options: OperatorElectionsOptions;

  constructor(options: OperatorElectionsOptions) {
    this.#options = options;
  }

  /** One result per partition; what fails is told in its result. */
  async electLeaders({ partitions, brokerId }: ElectLeadersRequest, clientId: string): Promise<ElectionResult[]> {
    this.#requireActive();
    const refs = partitions.length > 0 ? partitions : this.#unpreferred();
    const results: ElectionResult[] = [];
    for (let at = 0; at < refs.length; at += AT_ONCE_COUNT) {
      const chunk = refs.slice(at, at + AT_ONCE_COUNT);
      results.push(...(await Promise.all(chunk.map((ref) => this.#electOrTell(ref, brokerId, clientId)))));
    }
    return results;
  }

  /** DATA_LOSS_NOT_ACCEPTED, REPLICA_NOT_FOUND, LEADER_NOT_AVAILABLE when the broker does not answer or does not lead. */
  async force(request: ForceLeaderRequest, clientId: string): Promise<ElectionResult> {
    const { brokerId, justification } = request;
    const place = this.#unclean(request);
    requireReplica(place, brokerId);
    return this.#lossy('leader_force', place, forceLeader(brokerId), clientId, { broker: brokerId, justification });
  }

  /** DATA_LOSS_NOT_ACCEPTED, LEADER_NOT_AVAILABLE when not every replica answers. */
  async recover(request: RecoverBestLogRequest, clientId: string): Promise<ElectionResult> {
    const { justification } = request;
    const place = this.#unclean(request);
    const { topicId } = place.topic.definition;
    const { partition, config } = place.known;
    const silent = (config?.replicas ?? []).filter(
      (identity) => liveReplica(this.#options.model.state, topicId, partition, identity) === undefined,
    );
    if (silent.length > 0) {
      const ids = silent.map((identity) => identity.brokerId).join(', ');
      throw noLeader(place, `broker ${ids} does not answer, and its log may be the best: start it, or force a leader`);
    }
    return this.#lossy('log_recover', place, recoverBestLog, clientId, { justification });
  }

  async #lossy(
    operation: string,
    place: Place,
    judge: Judge,
    clientId: string,
    details: AuditDetails,
  ): Promise<ElectionResult> {
    const { elections, audit } = this.#options;
    const { topic, known } = place;
    const why = await elections.electNow({ topicId: topic.definition.topicId, partition: known.partition }, judge);
    const now = this.#now(place);
    const { epoch, leader, lossy } = now;
    const done = why === undefined;
    audit.note(
      operation,
      placeText(place),
      clientId,
      done ? { ...details, epoch, leader, lossy } : { ...details, why },
    );
    if (!done) throw noLeader(place, why);
    return result(place, now, '');
  }

  async #electOrTell(ref: PartitionRef, brokerId: number, clientId: string): Promise<ElectionResult> {
    try {
      return await this.#elect(this.#place(ref), brokerId, clientId);
    } catch (error) {
      if (!(error instanceof PartitaError)) throw error;
      return { partition: ref, leaderId: 0, leaderEpoch: 0, errorReason: error.reason };
    }
  }

  /** A leader is moved while appends go on; where there is none, the wish decides between equal logs. */
  async #elect(place: Place, brokerId: number, clientId: string): Promise<ElectionResult> {
    const { elections, moves, audit } = this.#options;
    const { topic, known } = place;
    const wanted = brokerId === 0 ? (known.config?.replicas[0]?.brokerId ?? 0) : brokerId;
    requireReplica(place, wanted);
    if (known.live && known.leader === wanted) return result(place, known, '');
    if (!this.#mayLead(place, wanted)) return result(place, known, 'LEADER_NOT_AVAILABLE');
    const at = { topicId: topic.definition.topicId, partition: known.partition };
    const why = await (known.live ? moves.move(at, [wanted]) : elections.electNow(at, undefined, wanted));
    const now = this.#now(place);
    const { epoch, leader } = now;
    const details = { wanted, leader, epoch };
    audit.note('leader_elect', placeText(place), clientId, why === undefined ? details : { ...details, why });
    return result(place, now, now.live && leader === wanted ? '' : 'LEADER_NOT_AVAILABLE');
  }

  /** Nobody is deposed for one that cannot lead now. */
  #mayLead({ topic, known }: Place, wanted: number): boolean {
    const { state } = this.#options.model;
    const isReady = !known.live || known.inSync.includes(wanted);
    return isReady && state.broker(wanted)?.facts.status === 'up' && canElect(state, topic.definition.topicId, known);
  }

  #unclean(request: ForceLeaderRequest | RecoverBestLogRequest): Place {
    this.#requireActive();
    const place = this.#place(request.partition);
    if (!request.acceptDataLoss) {
      throw new PartitaError(
        'DATA_LOSS_NOT_ACCEPTED',
        `committed records of ${placeText(place)} may be lost by this: repeat with accept_data_loss if that is wanted`,
        { topic: place.topic.name, partition: String(place.known.partition) },
      );
    }
    if (request.justification.trim() !== '') return place;
    throw new PartitaError('INVALID_REQUEST', 'justification is required: say why, for the audit trail', {
      field: 'justification',
    });
  }

  /** Elections need no store; whoever may order brokers may run them. */
  #requireActive(): void {
    if (!this.#options.lease.mayOrder()) this.#options.lease.requireWritable();
  }

  #place(ref: PartitionRef | undefined): Place {
    const { topic: name = '', partition = 0 } = ref ?? {};
    const topic = this.#options.model.state.topicByName(name);
    if (topic?.life !== 'active')
      throw new PartitaError('TOPIC_NOT_FOUND', `there is no topic "${name}"; look with: partita topic list`, {
        topic: name,
      });
    const known = topic.partitions[partition];
    if (known !== undefined) return { topic, known };
    throw new PartitaError(
      'PARTITION_NOT_FOUND',
      `topic "${name}" has partitions 0 to ${topic.partitions.length - 1}, not ${partition}`,
      { topic: name, partition: String(partition), partition_count: String(topic.partitions.length) },
    );
  }

  #now({ topic, known }: Place): ClusterPartition {
    return this.#options.model.state.partition(topic.definition.topicId, known.partition) ?? known;
  }

  /** Partitions whose leader is not the preferred one. */
  #unpreferred(): PartitionRef[] {
    return [...this.#options.model.state.topics()]
      .filter(({ life }) => life === 'active')
      .flatMap(({ name, partitions }) =>
        partitions
          .filter(({ live, leader, config }) => !live || leader !== config?.replicas[0]?.brokerId)
          .map(({ partition }) => ({ topic: name, partition })),
      );
  }
}

function result({ topic, known }: Place, now: ClusterPartition, errorReason: ErrorReason | ''): ElectionResult {
  return {
    partition: { topic: topic.name, partition: known.partition },
    leaderId: now.live ? now.leader : 0,
    leaderEpoch: now.epoch,
    errorReason,
  };
}

function requireReplica(place: Place, brokerId: number): void {
  const ids = (place.known.config?.replicas ?? []).map((replica) => replica.brokerId);
  if (ids.includes(brokerId)) return;
  throw new PartitaError(
    'REPLICA_NOT_FOUND',
    `broker ${brokerId} has no replica of ${placeText(place)}; brokers ${ids.join(', ')} have`,
    { topic: place.topic.name, partition: String(place.known.partition), broker_id: String(brokerId) },
  );
}

function noLeader(place: Place, why: string): PartitaError {
  return new PartitaError('LEADER_NOT_AVAILABLE', `${placeText(place)} has no new leader: ${why}`, {
    topic: place.topic.name,
    partition: String(place.known.partition),
  });
}

function placeText({ topic, known }: Place): string {
  return `${topic.name}/${known.partition}`;
}
