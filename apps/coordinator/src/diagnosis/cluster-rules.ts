/** What is wrong with the whole: balance, moves, the metadata store, the directory. */
import { liveReplica } from '@partita/cluster';
import { partitionKey } from '@partita/domain';
import { counted, forText } from './finding.ts';
import type { Found, Rule } from './finding.ts';

/** While the cluster balances itself it needs nobody's attention. */
export const uneven: Rule = ({ autoBalance, plan }) => {
  if (autoBalance) return [];
  const moves = plan.moves.filter(({ reason }) => reason !== 'drain');
  const found = (code: string, message: string): Found => {
    const advice = 'partita cluster rebalance, or let it be: partita cluster settings --auto-balance on';
    return { severity: 'warning', code, subject: 'cluster', message, advice };
  };
  return [
    ...(moves.length > 0
      ? [found('replicas-uneven', `${counted(moves.length, 'replica')} would have to move for brokers to hold as many`)]
      : []),
    ...(plan.leaders.length > 0
      ? [found('leaders-uneven', `${counted(plan.leaders.length, 'leader')} would have to move for brokers to lead as many`)]
      : []),
  ];
};

export const reassignmentsStalled: Rule = ({ stalled }) =>
  stalled.map(({ reassignment, forMs }) => {
    const { reassignmentId, moves } = reassignment;
    const open = moves.filter(({ outcome }) => outcome === 'open').length;
    return {
      severity: 'warning',
      code: 'reassignment-stalled',
      subject: `reassignment ${reassignmentId}`,
      message: `${counted(open, 'move')} of ${moves.length} are open, and nothing has moved for ${forText(forMs)}`,
      advice: `partita partition move show ${reassignmentId}; to give it up: partita partition move cancel ${reassignmentId}`,
    };
  });

export const metadataStore: Rule = ({ storeState }) => {
  const subject = 'metadata store';
  switch (storeState) {
    case 'down':
      return [
        {
          severity: 'error',
          code: 'metadata-store-down',
          subject,
          message: 'does not answer: records flow, but topics and settings cannot be changed',
          advice: 'Start Redis; an empty one is filled from the brokers',
        },
      ];
    case 'suspect':
      return [
        {
          severity: 'warning',
          code: 'metadata-store-suspect',
          subject,
          message: 'has lost writes or was emptied, and is being written anew',
          advice: '',
        },
      ];
    case 'embedded':
      return [
        {
          severity: 'note',
          code: 'metadata-store-embedded',
          subject,
          message: 'is the memory of the only coordinator: while that is down, no leader is elected',
          advice: 'Run Redis and two coordinators: --redis-url redis://…',
        },
      ];
    default:
      return [];
  }
};

/** Leaders and replica sets as the coordinator believes them, against what the brokers themselves report. */
export const directoryUnlikeBrokers: Rule = ({ state }) =>
  [...state.topics()].flatMap(({ name, definition: { topicId }, partitions }) =>
    partitions.flatMap(({ partition, live, leader, epoch, config }): Found[] => {
      const own = config?.replicas.find(({ brokerId }) => brokerId === leader);
      const report = own === undefined ? undefined : liveReplica(state, topicId, partition, own)?.report;
      if (!live || report === undefined) return [];
      const wrong =
        report.leadingEpoch !== epoch
          ? `broker ${leader} leads in epoch ${report.leadingEpoch}, not ${epoch}`
          : (report.config?.configVersion ?? 0) > (config?.configVersion ?? 0)
            ? `its leader has replica set ${report.config?.configVersion ?? 0}, not ${config?.configVersion ?? 0}`
            : undefined;
      return wrong === undefined ? [] : [differs(`${name}/${partition}`, wrong)];
    }),
  );

/** What the metadata store says, against what the coordinator knows. */
export const directoryUnlikeStore: Rule = ({ state, stored }) => {
  if (stored === undefined) return [];
  const entries = new Map(stored.map((publication) => [partitionKey(publication), publication.entry]));
  return [...state.topics()]
    .filter(({ life }) => life === 'active')
    .flatMap(({ name, definition: { topicId }, partitions }) =>
      partitions.flatMap(({ partition, leader, epoch, config }): Found[] => {
        if (config === undefined) return [];
        const entry = entries.get(partitionKey({ topicId, partition }));
        const is = `leader ${leader}, epoch ${epoch}, replica set ${config.configVersion}`;
        const says =
          entry === undefined
            ? 'nothing'
            : `leader ${entry.leader}, epoch ${entry.epoch}, replica set ${entry.configVersion}`;
        return is === says ? [] : [differs(`${name}/${partition}`, `the metadata store says ${says}; it is ${is}`)];
      }),
    );
};

function differs(subject: string, message: string): Found {
  const advice = 'It is corrected by itself within seconds; if it stays, restart the active coordinator';
  return { severity: 'warning', code: 'directory-differs', subject, message, advice };
}
