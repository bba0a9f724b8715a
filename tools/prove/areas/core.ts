import type { Area } from '../area.ts';

export const core: Area = {
  name: 'core',
  claim:
    'Replicas and coordinators keep every acknowledged record and never have two leaders of one epoch, whatever network, disks, processes and directory do.',
  suites: ['tools/sim/core/core.spec.ts', 'tools/sim/core/mutants.spec.ts'],
  minutesMax: 40,
};
