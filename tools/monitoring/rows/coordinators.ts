/** The coordinators: who is active, elections, the directory in Redis. */
import { halfAndWorst, ratePerSecond, series } from '../panel.ts';
import type { Row } from '../panel.ts';

export const COORDINATORS: Row = {
  title: 'Coordinators and Redis',
  collapsed: true,
  panels: [
    {
      title: 'Holds the lease',
      about: '1 for the active coordinator, 0 for those that stand by.',
      unit: 'short',
      queries: [{ expr: series('partita_coordinator_active'), legend: '{{instance}}' }],
    },
    {
      title: 'Lease taken and lost',
      about: 'Changes of the active coordinator.',
      unit: 'cps',
      queries: [{ expr: ratePerSecond('partita_coordinator_lease_changes_total', 'change'), legend: '{{change}}' }],
    },
    {
      title: 'Brokers',
      about: 'As the active coordinator sees them.',
      unit: 'short',
      queries: [{ expr: `max by (state) (${series('partita_coordinator_brokers')})`, legend: '{{state}}' }],
    },
    {
      title: 'Topics and partitions',
      about: 'What the cluster holds.',
      unit: 'short',
      queries: [
        { expr: `max(${series('partita_coordinator_topics')})`, legend: 'topics' },
        { expr: `max(${series('partita_coordinator_partitions')})`, legend: 'partitions' },
      ],
    },
    {
      title: 'Offline and under-replicated',
      about: 'As the active coordinator sees them.',
      unit: 'short',
      queries: [
        { expr: `max(${series('partita_coordinator_partitions_offline')})`, legend: 'offline' },
        { expr: `max(${series('partita_coordinator_partitions_under_replicated')})`, legend: 'under-replicated' },
        {
          expr: `max(${series('partita_coordinator_replica_changes_pending')})`,
          legend: 'replicas to be moved or made',
        },
      ],
    },
    {
      title: 'Elections',
      about: 'Elections by how they ended. Failed ones: not enough replicas answered.',
      unit: 'cps',
      queries: [{ expr: ratePerSecond('partita_coordinator_elections_total', 'outcome'), legend: '{{outcome}}' }],
    },
    {
      title: 'Time of an election',
      about: 'From the decision to elect until a replica leads.',
      unit: 's',
      queries: halfAndWorst('partita_coordinator_election_duration_seconds'),
    },
    {
      title: 'Moves of leaders',
      about: 'Controlled moves by how they ended: wished, off a broker that stops, back to the preferred one.',
      unit: 'cps',
      queries: [{ expr: ratePerSecond('partita_coordinator_leader_moves_total', 'outcome'), legend: '{{outcome}}' }],
    },
    {
      title: 'Time of a move of a leader',
      about: 'From the order to pause appends until another replica leads: appends wait for so long.',
      unit: 's',
      queries: halfAndWorst('partita_coordinator_leader_move_duration_seconds'),
    },
    {
      title: 'Redis connected',
      about: 'Without it producing and consuming go on; topics cannot be created, changed or deleted.',
      unit: 'short',
      queries: [{ expr: series('partita_coordinator_store_connected'), legend: '{{instance}}' }],
    },
    {
      title: 'Not yet in Redis',
      about: 'Changes that the directory does not know yet.',
      unit: 'short',
      queries: [{ expr: series('partita_coordinator_store_pending'), legend: '{{instance}}' }],
    },
  ],
};
