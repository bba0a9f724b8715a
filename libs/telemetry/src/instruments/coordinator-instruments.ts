/** Instruments of the coordinator. */
import { DURATION_BUCKETS } from '../buckets.ts';
import { instruments } from '../instrument.ts';

export const COORDINATOR_INSTRUMENTS = instruments({
  'partita.coordinator.active': {
    kind: 'gauge',
    unit: '',
    description: '1 while this coordinator holds the lease, else 0.',
    merge: 'max',
  },
  'partita.coordinator.brokers': {
    kind: 'gauge',
    unit: '{broker}',
    description: 'Brokers that are registered, by whether they are heard.',
    labels: { state: ['up', 'silent'] },
  },
  'partita.coordinator.topics': { kind: 'gauge', unit: '{topic}', description: 'Topics of the cluster.' },
  'partita.coordinator.partitions': { kind: 'gauge', unit: '{partition}', description: 'Partitions of the cluster.' },
  'partita.coordinator.partitions.offline': {
    kind: 'gauge',
    unit: '{partition}',
    description: 'Partitions without a leader.',
  },
  'partita.coordinator.partitions.under_replicated': {
    kind: 'gauge',
    unit: '{partition}',
    description: 'Partitions with fewer replicas in sync than they have, or than their topic wants.',
  },
  'partita.coordinator.elections': {
    kind: 'counter',
    unit: '{election}',
    description: 'Elections that ended, by how.',
    labels: { outcome: ['led', 'failed'] },
  },
  'partita.coordinator.election.duration': {
    kind: 'histogram',
    unit: 's',
    description: 'Elections, from when one began to when the partition has a leader or the election failed.',
    buckets: DURATION_BUCKETS,
  },
  'partita.coordinator.replica_changes.pending': {
    kind: 'gauge',
    unit: '{partition}',
    description: 'Partitions whose replicas are not where they shall be: moving, being repaired, or waiting for that.',
  },
  'partita.coordinator.leader_moves': {
    kind: 'counter',
    unit: '{move}',
    description: 'Controlled moves of leaders that ended, by how.',
    labels: { outcome: ['moved', 'failed'] },
  },
  'partita.coordinator.leader_move.duration': {
    kind: 'histogram',
    unit: 's',
    description:
      'Controlled moves of leaders, from the order to pause appends to when another leads or the move failed.',
    buckets: DURATION_BUCKETS,
  },
  'partita.coordinator.lease.changes': {
    kind: 'counter',
    unit: '{change}',
    description: 'How often this coordinator took the lease and lost it.',
    labels: { change: ['taken', 'lost'] },
  },
  'partita.coordinator.store.connected': {
    kind: 'gauge',
    unit: '',
    description: '1 while the directory (Redis) answers, else 0.',
    merge: 'max',
  },
  'partita.coordinator.store.pending': {
    kind: 'gauge',
    unit: '{write}',
    description: 'Changes that the directory does not know yet.',
  },
});
