/** What is wrong with brokers and their machines. */
import { replicasOn } from '@partita/cluster';
import type { ClusterBroker } from '@partita/cluster';
import { counted, forText } from './finding.ts';
import type { Found, Rule } from './finding.ts';

/** Share of a disk's logs and free bytes together that is free. */
const FREE_SHARE_WARNING = 0.15;
const FREE_SHARE_ERROR = 0.05;
/** A broker whose clock is off by this much keeps records longer than it should, or stamps them wrongly. */
const CLOCK_OFFSET_MS_MAX = 5000;

export const brokersAway: Rule = ({ state, roles, nowMs }) =>
  state.missingBrokerIds().map((brokerId) => {
    const facts = state.broker(brokerId)?.facts;
    const replicas = replicasOn(state, brokerId);
    const since = facts === undefined ? 'has not been heard' : `has been down for ${forText(nowMs - facts.sinceMs)}`;
    const isEmptied = roles.drainingBrokerIds.has(brokerId);
    return {
      severity: replicas > 0 ? 'warning' : 'note',
      code: 'broker-down',
      subject: `broker ${brokerId}`,
      message: `${since}; ${counted(replicas, 'partition')} have a replica on it`,
      advice:
        replicas === 0
          ? `Start it, or forget it: partita broker remove ${brokerId} --yes`
          : isEmptied
            ? ''
            : `Start it; if it does not come back, others take its replicas: partita broker drain ${brokerId}`,
    };
  });

export const brokersEmptied: Rule = ({ state, roles }) => [
  ...[...roles.drainingBrokerIds].map((brokerId): Found => {
    const left = replicasOn(state, brokerId);
    return {
      severity: 'note',
      code: 'broker-draining',
      subject: `broker ${brokerId}`,
      message: `is being emptied; ${counted(left, 'replica')} left on it`,
      advice: left > 0 ? `partita broker drain ${brokerId} --cancel ends it` : `Stop it, then partita broker remove ${brokerId} --yes`,
    };
  }),
  ...[...roles.leaderlessBrokerIds].map(
    (brokerId): Found => ({
      severity: 'note',
      code: 'broker-leaderless',
      subject: `broker ${brokerId}`,
      message: 'keeps its replicas and is to lead none',
      advice: `partita broker drain ${brokerId} --cancel lets it lead again`,
    }),
  ),
];

export const drainsStuck: Rule = ({ plan }) => {
  const counts = new Map<number, number>();
  for (const { brokerId } of plan.stuck) counts.set(brokerId, (counts.get(brokerId) ?? 0) + 1);
  return [...counts].map(([brokerId, count]) => ({
    severity: 'warning',
    code: 'broker-drain-stuck',
    subject: `broker ${brokerId}`,
    message: `${counted(count, 'replica')} cannot leave it: every other broker that is up has a replica of the partition`,
    advice: 'Start another broker, or lower the replication factor of topics',
  }));
};

export const disksFilling: Rule = ({ state }) =>
  [...state.brokers()].flatMap((broker): Found[] => {
    const { facts, freeBytes } = broker;
    const all = logBytes(broker) + Number(freeBytes);
    if (facts.status === 'down' || freeBytes === 0n || all === 0) return [];
    const share = Number(freeBytes) / all;
    if (share >= FREE_SHARE_WARNING) return [];
    return [
      {
        severity: share < FREE_SHARE_ERROR ? 'error' : 'warning',
        code: 'disk-filling',
        subject: `broker ${facts.brokerId}`,
        message: `${Math.round(Number(freeBytes) / 1024 ** 2)} MiB are free on its disk, ${Math.round(share * 100)} % of what its logs could fill`,
        advice: 'Give it a larger disk, add a broker, or keep less: partita topic update NAME --setting retention_bytes=…',
      },
    ];
  });

function logBytes({ replicas }: ClusterBroker): number {
  let sum = 0;
  for (const report of replicas.values()) sum += Number(report.logBytes);
  return sum;
}

export const clocksApart: Rule = ({ state, clockOffsetsMs }) => {
  const sorted = [...clockOffsetsMs.values()].sort((a, b) => a - b);
  const median = sorted[Math.floor(sorted.length / 2)] ?? 0;
  return [...clockOffsetsMs].flatMap(([brokerId, offset]): Found[] => {
    const off = offset - (sorted.length < 3 ? 0 : median);
    if (Math.abs(off) <= CLOCK_OFFSET_MS_MAX || state.broker(brokerId)?.facts.status === 'down') return [];
    return [
      {
        severity: 'warning',
        code: 'clock-apart',
        subject: `broker ${brokerId}`,
        message: `its clock is ${forText(Math.abs(off))} ${off > 0 ? 'ahead of' : 'behind'} the others`,
        advice: 'Set its clock (NTP): times of records and retention by age follow it',
      },
    ];
  });
};

export const versionsApart: Rule = ({ state }) => {
  const runs = [
    ...[...state.brokers()]
      .filter(({ facts }) => facts.status !== 'down')
      .map(({ facts }) => ({ who: `broker ${facts.brokerId}`, version: facts.version })),
    ...[...state.instances()].map(({ service, address, version }) => ({ who: `${service} ${address}`, version })),
  ].filter(({ version }) => version !== '');
  const versions = [...new Set(runs.map(({ version }) => version))].sort();
  if (versions.length < 2) return [];
  const text = versions.map((version) => {
    const names = runs.filter((run) => run.version === version).map(({ who }) => who);
    return `${version} (${names.slice(0, 3).join(', ')}${names.length > 3 ? `, ${names.length - 3} more` : ''})`;
  });
  return [
    {
      severity: 'note',
      code: 'versions-apart',
      subject: 'cluster',
      message: `services run different versions: ${text.join(', ')}`,
      advice: 'Finish the upgrade: restart what runs the old version',
    },
  ];
};
