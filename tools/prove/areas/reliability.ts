import type { Area } from '../area.ts';

/** Of a simulation: how much there was, and what was wrong in it. */
const SIMULATED = /: seeds$|broken promises in all|guards taken away|states that must be met/;

export const reliability: Area = {
  name: 'reliability',
  claim:
    'Whatever is killed, stopped, cut off, set to another time, wiped or cloned: nothing acknowledged is lost, doubled or reordered, and the cluster comes back by itself.',
  suites: ['chaos'],
  notes: [
    'Each row is a cluster of 4 brokers, 3 of which have a replica of each partition, and 2 of every other service, under one history: producers with and without sessions, requests that are sent again, readers, members of a group. Counted are the sends that began while the fault lasted or the cluster recovered; acked, lost and duplicates are of the whole history. Other: any other anomaly of the checker, replicas that are not byte-equal below the high watermark, or a directory that differs from what the coordinator says or what lies on the disks.',
    'Away: the time in which a client cannot get a record stored, in the partition that was away longest, of each injection: what lies between two acknowledgements of a producer of the SDK that sends one record after the other to each partition, where it is more than half a second.',
  ],
  quotes: [
    { area: 'core', figures: SIMULATED },
    { area: 'cluster', figures: SIMULATED },
    { area: 'group-core', figures: SIMULATED },
    { area: 'disk', figures: SIMULATED },
    { area: 'redis', figures: /./ },
  ],
  minutesMax: 180,
};
