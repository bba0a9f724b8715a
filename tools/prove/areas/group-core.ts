/** The core of consumer groups in a simulated cluster: every seed another mix of faults. */
import type { Area } from '../area.ts';

export const groupCore: Area = {
  name: 'group-core',
  claim:
    'A consumer group has one owner per partition, takes commits from it alone, skips no record, and comes right, whatever owners, members, topics and the log of its shard do.',
  suites: ['tools/sim/groups/groups.spec.ts', 'tools/sim/groups/mutants.spec.ts'],
  minutesMax: 35,
};
