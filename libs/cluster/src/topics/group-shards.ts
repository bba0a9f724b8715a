/** Which consumer-group instance shall own which shard of `__groups`: evenly, by as few moves as that takes. */
import type { ClusterState } from '../cluster-state.ts';
import type { ClusterRecord } from '../records.ts';

/**
 * Gives every shard an instance, and every instance its share. A shard whose instance is gone stays free of a new one
 * while `mayReturn` says that it may just not have come back yet, and nothing is moved meanwhile: whoever comes back
 * finds what it has. An instance that drains gives its shards up, unless nobody else is there.
 */
export function assignShards(
  state: ClusterState,
  shardCount: number,
  mayReturn: (instanceId: string) => boolean,
): ClusterRecord[] {
  const takers = takersOf(state);
  if (takers.length === 0) return [];
  const owned = new Map<string, number[]>(takers.map((instanceId) => [instanceId, []]));
  const free: number[] = [];
  let awaited = false;
  for (let shard = 0; shard < shardCount; shard += 1) {
    const owner = state.shards().get(shard);
    const own = owner === undefined ? undefined : owned.get(owner);
    if (own !== undefined) own.push(shard);
    else if (owner !== undefined && state.instance(owner) === undefined && mayReturn(owner)) awaited = true;
    else free.push(shard);
  }
  if (!awaited) free.push(...surplus(owned, shardCount));
  return free.map((shard) => ({ type: 'shard_assigned', shard, instanceId: give(owned, shard) }));
}

/** Instances that take shards, by id; those that drain only when there is no other. */
function takersOf(state: ClusterState): string[] {
  const instances = [...state.instances()].filter(({ service }) => service === 'consumer_group');
  const staying = instances.filter(({ draining }) => !draining);
  return (staying.length > 0 ? staying : instances).map(({ instanceId }) => instanceId).sort();
}

/** Takes from every instance what is beyond its share. Who has most keeps one more where the shares are not equal. */
function surplus(owned: Map<string, number[]>, shardCount: number): number[] {
  const share = Math.floor(shardCount / owned.size);
  let larger = shardCount % owned.size;
  const taken: number[] = [];
  for (const shards of [...owned.values()].toSorted((a, b) => b.length - a.length)) {
    const kept = larger > 0 ? share + 1 : share;
    larger -= 1;
    taken.push(...shards.splice(kept));
  }
  return taken;
}

/** The instance with the fewest gets the shard. */
function give(owned: Map<string, number[]>, shard: number): string {
  let least: [string, number[]] | undefined;
  for (const entry of owned) if (least === undefined || entry[1].length < least[1].length) least = entry;
  if (least === undefined) throw new Error('a shard needs an instance');
  least[1].push(shard);
  return least[0];
}
