/** The dashboard of a cluster: docs/monitoring/dashboard.json is what grafanaJson makes of it. */
import type { Dashboard } from './grafana.ts';
import { BROKERS } from './rows/brokers.ts';
import { COORDINATORS } from './rows/coordinators.ts';
import { GATEWAYS } from './rows/gateways.ts';
import { GROUPS } from './rows/groups.ts';
import { OVERVIEW } from './rows/overview.ts';
import { PARTITIONS } from './rows/partitions.ts';
import { PROCESSES } from './rows/processes.ts';

export const DASHBOARD: Dashboard = {
  uid: 'partita',
  title: 'Partita',
  about: 'A Partita cluster. The overview says whether something is wrong; the rows below say where.',
  variables: [
    { name: 'job', label: 'Job', query: 'label_values(partita_build_info, job)' },
    { name: 'instance', label: 'Instance', query: 'label_values(partita_build_info{job=~"$job"}, instance)' },
    { name: 'topic', label: 'Topic', query: 'label_values(partita_broker_append_records_total{job=~"$job"}, topic)' },
    { name: 'group', label: 'Group', query: 'label_values(partita_group_members{job=~"$job"}, group)' },
  ],
  rows: [OVERVIEW, GATEWAYS, BROKERS, COORDINATORS, GROUPS, PROCESSES, PARTITIONS],
};
