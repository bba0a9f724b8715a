import type { Area } from '../area.ts';

export const pressure: Area = {
  name: 'pressure',
  claim:
    'A gateway that is offered twice what the cluster takes for a minute refuses the rest with definite errors that say when to come again, stays small, loses nothing that it acknowledged, and is well again within 10 s; a broker that stands still stalls only its own partitions.',
  suites: [
    'overload',
    'apps/producer-gateway/src/pressure.spec.ts',
    'apps/producer-gateway/src/in-flight.spec.ts',
    'libs/client/src/retry-budget.spec.ts',
  ],
  notes: [
    'The gateway of the suite has small limits, so that what is beyond the capacity is shed at once; the load and the cluster share the machine, so the capacity is that of both together.',
  ],
  minutesMax: 10,
};
