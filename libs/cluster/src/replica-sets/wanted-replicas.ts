/**
 * Which replicas a partition shall have, as far as can be said now: those that it has, with what was asked for moved, filled up
 * or reduced to its topic's replication factor. Asked again after each step and after any change of the cluster, so whatever
 * is half made is completed or tidied up by the same rule.
 */
import { partitionKey } from '@partita/domain';
import type { ClusterPartition, ClusterState, ClusterTopic } from '../cluster-state.ts';
import { liveReplica } from '../partition-status.ts';
import type { PlacementBroker } from '../topics/placement.ts';
import { mayTakeReplicas, placementBrokers } from '../topics/placement-brokers.ts';
import type { Move } from './reassignment.ts';
import type { WantedReplicas } from './replica-change.ts';
import { settingsInForce } from '../topics/topic-settings.ts';

/** A copy that was begun is waited for this long while its broker is away; then another broker gets one. */
const LEARNER_PATIENCE_MS = 5 * 60 * 1000;

interface Place {
  readonly state: ClusterState;
  readonly topic: ClusterTopic;
  readonly known: ClusterPartition;
  readonly moves: readonly Move[];
  /** Wall clock. */
  readonly nowMs: number;
  /** Brokers that may take replicas, with what they have. */
  readonly brokers: () => readonly PlacementBroker[];
}

/**
 * Undefined while the topic or its replica set is not known, or nothing is to be done about it. `brokers` saves counting the
 * loads of all brokers anew for each of many partitions.
 */
export function wantedReplicas(
  state: ClusterState,
  topicId: string,
  partition: number,
  nowMs: number,
  brokers: () => readonly PlacementBroker[] = () => placementBrokers(state),
): WantedReplicas | undefined {
  const topic = state.topicById(topicId);
  const known = topic?.partitions[partition];
  if (topic?.life !== 'active' || known?.config === undefined) return undefined;
  const { replicationFactor, settings } = topic.definition;
  const moves = state.reassignments.openMovesOf(topicId, partition);
  const place = { state, topic, known, moves, nowMs, brokers };
  const members = known.config.replicas.map(({ brokerId }) => brokerId);
  const brokerIds = reduced(place, filledUp(place, afterMoves(members, moves)));
  const { minInSyncReplicas } = settingsInForce(settings, replicationFactor);
  return { brokerIds, minInSyncReplicas: Math.min(minInSyncReplicas, brokerIds.length) };
}

/** The brokers once the moves are made. One that is made already, or half, changes nothing more than its rest. */
export function afterMoves(brokerIds: readonly number[], moves: readonly Move[]): number[] {
  return moves.reduce((ids, move) => afterMove(ids, move), [...brokerIds]);
}

/** Who comes takes the place of who goes, or keeps its own where that is further in front. */
function afterMove(ids: readonly number[], { fromBrokerId: from, toBrokerId: to }: Move): number[] {
  if (from === to) return ids.includes(to) ? [to, ...ids.filter((id) => id !== to)] : [...ids];
  if (to === 0) return ids.filter((id) => id !== from);
  const places = [from, to].map((id) => ids.indexOf(id)).filter((index) => index >= 0);
  const others = ids.filter((id) => id !== from && id !== to);
  return places.length === 0 ? [...ids, to] : others.toSpliced(Math.min(...places), 0, to);
}

function filledUp(place: Place, brokerIds: readonly number[]): number[] {
  const ids = [...brokerIds];
  const { replicationFactor } = place.topic.definition;
  while (ids.length < replicationFactor) {
    const next = begunCopy(place, ids) ?? bestBroker(place, ids);
    if (next === undefined) break;
    ids.push(next);
  }
  return ids;
}

function begunCopy({ state, known, nowMs, moves }: Place, ids: readonly number[]): number | undefined {
  const found = known.config?.learners.find(({ brokerId }) => {
    if (ids.includes(brokerId) || givesUp(moves, brokerId)) return false;
    const facts = state.broker(brokerId)?.facts;
    const isAway = facts?.status === 'down' && nowMs - facts.sinceMs < LEARNER_PATIENCE_MS;
    return isAway || mayTakeReplicas(state, brokerId);
  });
  return found?.brokerId;
}

/** Another rack than the others', of those the one with the fewest replicas. */
function bestBroker({ state, moves, brokers }: Place, ids: readonly number[]): number | undefined {
  const racks = new Set(ids.map((id) => rackOf(state, id)));
  const candidates = brokers().filter(({ brokerId }) => !ids.includes(brokerId) && !givesUp(moves, brokerId));
  const [best] = candidates.toSorted(
    (a, b) =>
      Number(racks.has(rackOf(state, a.brokerId))) - Number(racks.has(rackOf(state, b.brokerId))) ||
      a.replicaCount - b.replicaCount ||
      a.leaderCount - b.leaderCount ||
      a.brokerId - b.brokerId,
  );
  return best?.brokerId;
}

function givesUp(moves: readonly Move[], brokerId: number): boolean {
  return moves.some(({ fromBrokerId, toBrokerId }) => fromBrokerId === brokerId && toBrokerId !== brokerId);
}

/** Of too many go first those that do not count, then those whose broker shall have none, then a rack's second. */
function reduced(place: Place, brokerIds: readonly number[]): number[] {
  let ids = [...brokerIds];
  while (ids.length > place.topic.definition.replicationFactor) {
    const ranked = ids.map((brokerId, index) => ({ brokerId, rank: rankToGo(place, ids, index) }));
    const [first] = ranked.toSorted((a, b) => compareRanks(a.rank, b.rank));
    ids = ids.filter((id) => id !== first?.brokerId);
  }
  return ids;
}

/** The lowest goes first. */
function rankToGo({ state, topic, known, moves, brokers }: Place, ids: readonly number[], index: number): number[] {
  const brokerId = ids[index] ?? 0;
  const member = known.config?.replicas.find((replica) => replica.brokerId === brokerId);
  const live =
    member !== undefined &&
    liveReplica(state, topic.definition.topicId, known.partition, member)?.report.suspect === false;
  const rack = rackOf(state, brokerId);
  const load = brokers().find((broker) => broker.brokerId === brokerId);
  const isMovedTo = moves.some(({ toBrokerId }) => toBrokerId === brokerId);
  return [
    Number(isMovedTo),
    Number(live),
    Number(mayTakeReplicas(state, brokerId)),
    Number(known.leader === brokerId),
    Number(ids.every((other) => other === brokerId || rackOf(state, other) !== rack)),
    Number(index === 0),
    -(load?.replicaCount ?? 0),
    -index,
  ];
}

function compareRanks(a: readonly number[], b: readonly number[]): number {
  for (const [index, value] of a.entries()) {
    const difference = value - (b[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** A broker without a rack is one by itself. */
function rackOf(state: ClusterState, brokerId: number): string {
  return state.broker(brokerId)?.facts.rack || `broker ${brokerId}`;
}

/** True when a broker that answers still has a replica of the partition. */
export function hasReplica(state: ClusterState, brokerId: number, topicId: string, partition: number): boolean {
  const broker = state.broker(brokerId);
  return broker?.facts.status !== 'down' && broker?.replicas.has(partitionKey({ topicId, partition })) === true;
}
