/** What the tour claims of a group that grows and shrinks. Pure, as checks.ts. */
import { check } from './checks.ts';
import type { Arrival, Check, Send } from './checks.ts';
import { movedPartitions } from './pauses.ts';
import type { GroupChange } from './pauses.ts';

/** Records that were acknowledged, each at least once. */
export function everySendArrived(sends: readonly Send[], arrivals: readonly Arrival[]): Check {
  const arrived = new Set(arrivals.map(({ row }) => row));
  const acked = sends.filter(({ outcome }) => typeof outcome === 'object');
  const skipped = acked.filter(({ number }) => !arrived.has(number));
  return check('no record was skipped while members came and went', acked.length > 0 && skipped.length === 0, {
    yes: `${acked.length} acknowledged, all arrived`,
    no:
      acked.length === 0
        ? 'nothing was acknowledged'
        : `${skipped.length} skipped, the first is number ${skipped[0]?.number ?? 0}`,
  });
}

/** No more partitions than balance needs: members that stay keep what is their share. */
export function onlyMovedWhatMust(changes: readonly GroupChange[], partitionCount: number): Check {
  const moves = changes.map((change) => {
    const staying = [...change.before.keys()].filter((member) => change.after.has(member));
    const share = Math.floor(partitionCount / change.after.size);
    const kept = staying.reduce((sum, member) => sum + Math.min(share, change.before.get(member)?.length ?? 0), 0);
    return { moved: movedPartitions(change).length, must: partitionCount - kept };
  });
  return check(
    'only the partitions moved that had to',
    moves.every(({ moved, must }) => moved <= must),
    {
      yes: moves.map(({ moved }) => moved).join(' and '),
      no: moves.map(({ moved, must }) => `${moved} moved, ${must} had to`).join('; '),
    },
  );
}
