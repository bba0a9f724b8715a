/** Guards of changes of the replica set, each taken away by itself (mutants.ts), in seeds where sets change. */
import type { Mutant } from './mutants.ts';

const CHANGE = 'libs/replication/src/config-change.ts';
const IN_FORCE = 'libs/replication/src/config-in-force.ts';
const COMMITMENT = 'libs/replication/src/commitment.ts';
const CONFIG = 'libs/replication/src/replica-config.ts';
const PROMISE = 'libs/replication/src/promise.ts';
const FOLLOWER = 'libs/replication/src/follower.ts';
const FOLLOWING = 'libs/replication/src/following.ts';
const IN_SYNC = 'libs/replication/src/in-sync-set.ts';
const ELECTION = 'libs/cluster/src/elections/leader-election.ts';
const STATUS = 'libs/cluster/src/partition-status.ts';
const INVENTORY = 'libs/cluster/src/inventory.ts';
const BROKER = 'tools/sim/core/broker.ts';
const ELECTIONS = 'tools/sim/core/elections.ts';

export const CHANGE_MUTANTS: readonly Mutant[] = [
  {
    name: 'changes overlap',
    file: CHANGE,
    from: 'if (pendingConfig(state) !== undefined)',
    to: 'if (pendingConfig(state)?.version === 0)',
    seed: 3,
  },
  {
    name: 'a change is taken before the epoch is committed',
    file: CHANGE,
    from: 'if (state.highWatermark <= role.epochStartOffset)',
    to: 'if (state.highWatermark < 0n)',
    seed: undefined,
    why: 'what another log still holds has to give its promises too, told apart by content, so no two changes are committed side by side',
  },
  {
    name: 'two members change at once',
    file: CHANGE,
    from: 'added.length + removed.length > 1',
    to: 'added.length + removed.length > 9',
    seed: 52,
  },
  {
    name: 'the leader is removed',
    file: CHANGE,
    from: 'if (!isMember(next, self.replicaId))',
    to: 'if (!isMember(next, self.replicaId) && next.replicas.length > 9)',
    seed: undefined,
    why: 'it commits the change without counting itself and gives way, as one does that has inherited the change',
  },
  {
    name: 'a member need not have been a learner',
    file: CHANGE,
    from: 'if (added !== undefined && !current.learners.some(',
    to: 'if (added !== undefined && current.learners.length > 9 && !current.learners.some(',
    seed: undefined,
    why: 'one that was never made has not caught up either',
  },
  {
    name: 'a learner need not have caught up',
    file: CHANGE,
    from: 'if (added !== undefined && !isLevel)',
    to: 'if (added !== undefined && !isLevel && state.logEnd < 0n)',
    seed: undefined,
    why: 'its log counts only as far as it acknowledges: the change waits for it, and all writes with it',
  },
  {
    name: 'the old set alone commits a change',
    file: COMMITMENT,
    from: 'const ends = configsToMeet(state).map(',
    to: 'const ends = [currentConfig(state)].map(',
    seed: 11,
  },
  {
    name: 'the new set alone commits a change',
    file: COMMITMENT,
    from: 'const ends = configsToMeet(state).map(',
    to: 'const ends = configsToMeet(state).slice(-1).map(',
    seed: 2,
  },
  {
    name: 'a config is in force at once',
    file: IN_FORCE,
    from: 'if (pending === undefined || state.highWatermark < state.configEnd) return [];',
    to: 'if (pending === undefined) return [];',
    seed: 1,
  },
  {
    name: 'the high watermark does not stop behind a change',
    file: COMMITMENT,
    from: 'if (pendingConfig(state) !== undefined && end > configEnd) end = configEnd;',
    to: '',
    seed: undefined,
    why: 'what lies behind the change is held by m of both sets as well: it is only committed a moment earlier',
  },
  {
    name: 'a leader counts itself in a set that it is not in',
    file: COMMITMENT,
    from: 'isMember(config, state.self.replicaId) ? [ownEnd] : []',
    to: 'isMember(config, state.self.replicaId) ? [ownEnd] : [ownEnd]',
    seed: 432,
  },
  {
    name: 'learners count as members',
    file: CONFIG,
    from: 'return config.replicas.some((replica) => replica.replicaId === replicaId);',
    to: 'return belongsTo(config, replicaId);',
    seed: 2,
  },
  {
    name: 'a leader goes on that its own change has removed',
    file: COMMITMENT,
    from: 'if (changed.length > 0 && !countsInSome(state, state.self.replicaId)) effects.push(...stepDown(state));',
    to: '',
    seed: 8852,
  },
  {
    name: 'a change outlives its record',
    file: FOLLOWING,
    from: '    configEnd: logEnd,\n    durableEnd: logEnd,',
    to: '    configs: state.configs,\n    configEnd: logEnd,\n    durableEnd: logEnd,',
    seed: 183,
  },
  {
    name: 'the journal does not keep what is committed',
    file: IN_FORCE,
    from: "return [{ kind: 'persist', meta: { ...meta, configFloor } }];",
    to: "return [{ kind: 'persist', meta }];",
    seed: undefined,
    why: 'logs with another config behind it, brokers that deleted a replica, and coordinators know it too',
  },
  {
    name: 'a replica votes that was removed',
    file: PROMISE,
    from: 'if (isRemoved(state)) return [answer(state, reply, false)];',
    to: '',
    seed: 15,
  },
  {
    name: 'a removed replica does not tell a leader that its change is committed',
    file: IN_SYNC,
    from: 'epoch === role.epoch ? hearFloor(state, configFloor) : []',
    to: '[]',
    seed: undefined,
    why: 'the order to lead says so, unless the election reached none of those that know',
  },
  {
    name: 'a new leader is not told that a change is committed',
    file: FOLLOWER,
    from: 'hearFloor(state, input.configFloor)',
    to: 'hearFloor(state, 0)',
    seed: undefined,
    why: 'a replica that knows says so when it joins, unless it is deleted by then',
  },
  {
    name: 'the newest set alone elects',
    file: ELECTION,
    from: 'for (const config of configs) {',
    to: 'for (const config of configs.slice(-1)) {',
    seed: 203,
  },
  {
    name: 'the committed set alone elects',
    file: ELECTION,
    from: 'for (const config of configs) {',
    to: 'for (const config of [committed]) {',
    seed: 1548,
  },
  {
    name: 'an election goes by another m than that of the set',
    file: ELECTION,
    from: 'electionQuorum(config.replicas.length, config.minInSyncReplicas)',
    to: 'electionQuorum(config.replicas.length, plan.config.minInSyncReplicas)',
    seed: 1443,
  },
  {
    name: 'an election goes by what was committed after it',
    file: ELECTION,
    from: "if (knowsLater(plan, replies)) return failed('a replica set was committed in a later epoch');",
    to: '',
    seed: 11932,
  },
  {
    name: 'two configs of one version are taken for one',
    file: INVENTORY,
    from: 'a.configVersion === b.configVersion &&\n    a.minInSyncReplicas === b.minInSyncReplicas &&\n    sameReplicas(a.replicas, b.replicas) &&\n    sameReplicas(a.learners, b.learners)',
    to: 'a.configVersion === b.configVersion',
    seed: undefined,
    why: 'each is one step from the set before, and the quorum of that set mostly holds one of the other',
  },
  {
    name: 'a learner is elected',
    file: ELECTION,
    from: 'grants.filter(mayLead)',
    to: 'grants.filter(() => true)',
    seed: 194,
  },
  {
    name: 'learners are not asked for promises',
    file: ELECTION,
    from: 'const known = config === undefined ? [] : [...config.replicas, ...config.learners];',
    to: 'const known = config === undefined ? [] : [...config.replicas];',
    seed: 476,
  },
  {
    name: 'no election is tried where the set known is over',
    file: STATUS,
    from: ' || isOvertakenConfig(state, topicId, partition)',
    to: '',
    seed: undefined,
    why: 'seldom is the only one that knows it suspect; then it costs the time until another knows',
  },
  {
    name: 'a replica is made without a promise',
    file: BROKER,
    from: '{ ...disk.meta, promisedEpoch: epoch }',
    to: '{ ...disk.meta }',
    seed: undefined,
    why: 'it has to be told first of a leader of yesterday, who holds another change of the very version that it was made with',
  },
  {
    name: 'a deleted replica comes back under its id',
    file: BROKER,
    from: 'const isLate = config.version <= (this.floors.get(partition)?.configFloor ?? 0);',
    to: 'const isLate = false;',
    seed: 763,
  },
  {
    name: 'a replica is deleted that a newer set holds',
    file: BROKER,
    from: 'if (isWanted) return;',
    to: '',
    seed: undefined,
    why: 'the order has to be that of a leader of yesterday, and later than the making',
  },
  {
    name: 'a broker forgets what a deleted replica knew',
    file: ELECTIONS,
    from: 'else if (kept === undefined || afterDeletion === undefined) back(undefined);',
    to: 'else if (kept === undefined || afterDeletion === undefined || kept.configFloor > 0) back(undefined);',
    seed: undefined,
    why: 'mostly a member of the newer set answers as well',
  },
];
