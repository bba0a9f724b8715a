/** Brokers and coordinators as they ship in a simulated cluster: every seed another mix of faults. */
import type { Area } from '../area.ts';

export const cluster: Area = {
  name: 'cluster',
  claim:
    'Whole clusters of the services as they ship lose no acknowledged record, keep topics, settings and deletions, and make the directory right again, whatever disks, network, clocks and Redis do.',
  suites: ['tools/sim/cluster/cluster.spec.ts', 'tools/sim/cluster/mutants.spec.ts'],
  minutesMax: 200,
};
