/**
 * Guards of the services' wiring, each taken away by a text replaced on loading, with a seed that shows what it was for. A seed
 * goes stale when the simulation draws otherwise: `node tools/sim/main.ts cluster-mutants hunt 200` finds new ones.
 */
import type { Mutant } from '../core/mutants.ts';

export const MUTANTS: readonly Mutant[] = [
  {
    name: 'a log counts as durable once it is written',
    file: 'libs/log/src/segment.ts',
    from: 'await file.writeSynced(batches, position)',
    to: 'await file.writev(batches, position)',
    seed: 5,
  },
  {
    name: 'a follower acknowledges what it has not synced',
    file: 'apps/broker/src/replication/leader-link.ts',
    from: "nonce: Buffer.from(nonce, 'hex'), logEndOffset, fsynced };",
    to: "nonce: Buffer.from(nonce, 'hex'), logEndOffset: actor.state.logEnd, fsynced };",
    seed: undefined,
    why: 'takes the power of a follower within one sync and the loss of the leader at once, which 600 seeds do not meet; the simulated core misses the same guard',
  },
  {
    name: 'a standby does not hear of topics that another has made or changed',
    file: 'apps/coordinator/src/coordinator.ts',
    from: 'for (const topic of topics) updates.found(topic);',
    to: '',
    seed: 10007,
  },
  {
    name: 'a standby does not hear of topics that another has deleted',
    file: 'apps/coordinator/src/coordinator.ts',
    from: 'for (const tombstone of tombstones) deletions.found(tombstone);',
    to: '',
    seed: 569,
  },
  {
    name: 'a repeated deletion is told that the topic is gone before it is',
    file: 'libs/cluster/src/topics/topic-commands.ts',
    from: "return topic?.life === 'deleting' ? topic : undefined;",
    to: 'return undefined;',
    seed: 3265,
  },
  {
    name: 'a coordinator calls missing what the directory has lost before it has heard the brokers',
    file: 'apps/coordinator/src/topics/topic-deletion.ts',
    from: 'if (!this.#isKnown(name)) await this.#requireAbsence(name);',
    to: '',
    seed: 17106,
  },
  {
    name: 'a coordinator gives up at once what another may be making',
    file: 'apps/coordinator/src/topics/topic-creation.ts',
    from: "fate === 'abandon' && nowMs - sinceMs > OTHERS_CREATION_MS_MAX",
    to: "fate === 'abandon'",
    seed: 16429,
  },
  {
    name: 'a rebuild keeps the settings that it met first',
    file: 'libs/cluster/src/rebuild.ts',
    from: 'if (known.definition.version >= definition.version) return [];',
    to: 'if (known.definition.version >= 0n) return [];',
    seed: 24,
  },
  {
    name: 'brokers let go of topics that a directory does not list',
    file: 'apps/broker/src/replication/following-task.ts',
    from: 'options.directory.onChange(({ changed }) => {',
    to: 'options.directory.onChange(({ changed, deleted }) => { for (const { topicId } of deleted) for (const actor of options.registry.removeTopic(topicId)) void actor.close(false);',
    seed: 7,
  },
  {
    name: 'a member that its broker does not have stays in the set',
    file: 'libs/cluster/src/replica-sets/replica-change.ts',
    from: 'const step = droppingLost(place) ?? adding(',
    to: 'const step = adding(',
    seed: 3,
  },
  {
    name: 'a lease that came back with a backup is taken for the own one',
    file: 'libs/metadata-store/src/memory-metadata-store.ts',
    from: 'const least = Math.max(state.leaseNumberGiven, this.#seen.leaseNumber);',
    to: 'const least = state.leaseNumberGiven;',
    seed: undefined,
    why: 'a coordinator that knows of a higher number raises the count by itself, so either guard is enough',
  },
];
