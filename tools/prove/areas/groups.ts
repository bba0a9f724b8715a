import type { Area } from '../area.ts';

export const groups: Area = {
  name: 'groups',
  claim:
    'Members, instances and leaders killed and stopped: a group skips nothing, takes nothing from zombies, and has one owner for each partition.',
  suites: ['group-scale', 'groups', 'group-history', 'planted-group-bugs'],
  minutesMax: 40,
};
