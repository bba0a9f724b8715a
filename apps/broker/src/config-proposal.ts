/** ProposeConfig: a new replica set on its way to the leader's log, and what became of it. */
import { BATCH_CONFIG, BATCH_EPOCH_START } from '@partita/batch';
import { isUuid, PartitaError, REPLICATION_FACTOR_MAX } from '@partita/domain';
import type { Clock } from '@partita/domain';
import { EpochStartRecord, ReplicaConfigRecord } from '@partita/protocol';
import type { ProposeConfigRequest, ProposeConfigResponse } from '@partita/protocol';
import { currentConfig } from '@partita/replication';
import type { ConfigOutcome, ReplicaConfig } from '@partita/replication';
import type { PartitionActor } from './partition-actor.ts';
import type { PartitionRegistry } from './partition-registry.ts';
import { replicaConfig, replicaConfigRecord } from './peer-messages.ts';
import { badField } from './replica-creation.ts';

export interface ProposalPlace {
  readonly registry: PartitionRegistry;
  readonly clock: Clock;
  /** For how long whoever asks waits, milliseconds. */
  readonly deadlineMs: number;
}

/** Everybody of a set, members and learners: one more than the largest factor while one is replaced, and as many learners. */
const REPLICA_COUNT_MAX = 2 * REPLICATION_FACTOR_MAX;

/** Answers when the set is committed, or was before: whoever lost the answer asks again. */
export async function proposeConfig(
  request: ProposeConfigRequest,
  { registry, clock, deadlineMs }: ProposalPlace,
): Promise<ProposeConfigResponse> {
  const { topicId, partition, leaderEpoch } = request;
  const config = checkedConfig(request);
  const actor = registry.find({ topicId, topic: '', partition });
  if (actor.leader === undefined) throw registry.notLeader(actor);
  const outcome = await new Promise<ConfigOutcome>((reply) =>
    actor.feed({
      kind: 'propose-config',
      leaderEpoch,
      expectedVersion: config.version - 1,
      config,
      wallMs: clock.wallMs(),
      deadlineMs: clock.monotonicMs() + deadlineMs,
      reply,
    }),
  );
  if (outcome.ok) return { offset: outcome.offset };
  return repeated(actor, config, outcome.refusal) ?? refuse(registry, actor, outcome);
}

type Refused = Extract<ConfigOutcome, { ok: false }>;

function checkedConfig({ config: record, leaderEpoch }: ProposeConfigRequest): ReplicaConfig {
  const config = replicaConfig(record);
  if (leaderEpoch < 0) throw badField('leader_epoch', String(leaderEpoch), 'at least 0');
  const everybody = [...config.replicas, ...config.learners];
  if (everybody.length > REPLICA_COUNT_MAX)
    throw badField('config', String(everybody.length), `of at most ${REPLICA_COUNT_MAX} replicas`);
  const forged = everybody.find(({ replicaId, directoryId }) => !isUuid(replicaId) || !isUuid(directoryId));
  if (forged !== undefined)
    throw badField('config', `${forged.directoryId}/${forged.replicaId}`, 'a set whose ids are lower-case UUIDs');
  return config;
}

/**
 * The place of the set's record when this very set is in force, as the journal knows. While it is only in the log nothing is
 * known of it yet.
 */
function repeated(
  actor: PartitionActor,
  config: ReplicaConfig,
  refusal: Refused['refusal'],
): ProposeConfigResponse | undefined {
  const { state } = actor;
  if (refusal === 'change-under-way' && isSame(state.configs[0], config)) throw doubt(actor);
  if (refusal !== 'stale-version' || !isSame(currentConfig(state), config)) return undefined;
  if (state.meta.configFloor < config.version) throw doubt(actor);
  return { offset: recordOffset(actor, config.version) };
}

function isSame(known: ReplicaConfig | undefined, config: ReplicaConfig): boolean {
  return known !== undefined && bytesOf(known).equals(bytesOf(config));
}

function bytesOf(config: ReplicaConfig): Buffer {
  return Buffer.from(ReplicaConfigRecord.encode(replicaConfigRecord(config)).finish());
}

/** Where the log says the version first, as far as it remembers. */
function recordOffset({ log }: PartitionActor, version: number): bigint {
  const versionIn = ({ type, content }: { type: number; content: Uint8Array }): number | undefined => {
    if (type === BATCH_CONFIG) return ReplicaConfigRecord.decode(content).configVersion;
    return type === BATCH_EPOCH_START ? EpochStartRecord.decode(content).config?.configVersion : undefined;
  };
  const offsets = log.state.configs.filter((record) => versionIn(record) === version).map(({ offset }) => offset);
  return offsets.reduce((lowest, offset) => (offset < lowest ? offset : lowest), offsets[0] ?? log.logStart);
}

function refuse(registry: PartitionRegistry, actor: PartitionActor, { refusal, why, config }: Refused): never {
  if (refusal === 'not-leader') throw registry.notLeader(actor);
  if (refusal === 'outcome-unknown') throw doubt(actor);
  if (refusal === 'unsound') throw badField('config', why, 'a sound replica set');
  throw new PartitaError('REPLICA_CHANGE_REFUSED', `the replica set stays as it is: ${why}`, {
    refusal,
    topic_id: actor.topicId,
    partition: String(actor.partition),
    config_version: String(config.version),
  });
}

function doubt({ topicId, partition }: PartitionActor): PartitaError {
  const message = 'the replica set is in the log, but it is not known whether it will be kept; ask again';
  return new PartitaError('OUTCOME_UNKNOWN', message, { topic_id: topicId, partition: String(partition) });
}
