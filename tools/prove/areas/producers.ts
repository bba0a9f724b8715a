import type { Area } from '../area.ts';

export const producers: Area = {
  name: 'producers',
  claim:
    'Gateways, leaders and clients killed and stopped: nothing is stored twice, left out or reordered, and a request that is sent again has one copy.',
  suites: ['producers', 'planted-producer-bugs'],
  minutesMax: 40,
};
