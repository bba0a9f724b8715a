import type { Area } from '../area.ts';

export const failover: Area = {
  name: 'failover',
  claim:
    'Brokers and coordinators killed, stopped and wiped: nothing acknowledged is lost, doubled or reordered, replicas are equal.',
  suites: ['failover', 'repair', 'operators', 'history', 'planted-bugs'],
  minutesMax: 40,
};
