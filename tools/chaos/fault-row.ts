/** What trials of a fault came to: a row of a report. */
import type { AnomalyName } from '@partita/tool-history/findings.ts';
import type { TrialResult } from './trial.ts';
import { awayMs } from './unavailability.ts';

export interface FaultRow {
  readonly fault: string;
  readonly injectionCount: number;
  /** Sends that began while it lasted or the cluster recovered, by their outcome. */
  readonly okCount: number;
  readonly failCount: number;
  readonly unknownCount: number;
  /** Of the whole trial, as is what follows. */
  readonly ackedCount: number;
  readonly lostCount: number;
  readonly duplicateCount: number;
  /** Whatever else the checker knows, and replicas or directories that differ. */
  readonly otherCount: number;
  /** By injection, of the partition that was away longest; in order. */
  readonly awaySeconds: readonly number[];
}

const LOST: readonly AnomalyName[] = [
  'lost-write',
  'unseen',
  'request-lost',
  'group-skip',
  'group-unseen',
  'session-gap',
];
const DUPLICATE: readonly AnomalyName[] = ['duplicate', 'request-doubled', 'request-answers'];

export function rowOf(fault: string, result: TrialResult): FaultRow {
  const { history, spells, verdict, problems } = result;
  const counts = { ok: 0, fail: 0, info: 0 };
  const awaySeconds: number[] = [];
  for (const { fromMs, recoveredMs } of spells) {
    const away = awayMs(history, { fromMs, toMs: recoveredMs });
    awaySeconds.push(Math.max(0, ...away.values()) / 1000);
    const begun = new Set<number>();
    for (const event of history) {
      if (event.f !== 'send') continue;
      const isInside = event.tMonoMs >= fromMs && event.tMonoMs <= recoveredMs;
      if (event.type === 'invoke' && isInside) begun.add(event.op);
      else if (event.type !== 'invoke' && begun.delete(event.op)) counts[event.type] += 1;
    }
    counts.info += begun.size;
  }
  const found = (names: readonly AnomalyName[]): number =>
    names.reduce((sum, name) => sum + (verdict.anomalies[name]?.count ?? 0), 0);
  const [lostCount, duplicateCount] = [found(LOST), found(DUPLICATE)];
  return {
    fault,
    injectionCount: spells.flatMap(({ injections }) => injections).filter(({ target }) => target !== undefined).length,
    ...{ okCount: counts.ok, failCount: counts.fail, unknownCount: counts.info },
    ackedCount: verdict.ackedCount,
    ...{ lostCount, duplicateCount },
    otherCount: Math.max(0, problems.length - (lostCount > 0 ? 1 : 0) - (duplicateCount > 0 ? 1 : 0)),
    awaySeconds: awaySeconds.toSorted((a, b) => a - b),
  };
}

/** The smallest value that at least this share of them does not exceed; 0 of none. */
export function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0;
}

export const ROW_HEAD: readonly string[] = [
  'fault',
  'injections',
  'ok / fail / unknown',
  'acked',
  'lost',
  'duplicates',
  'other',
  'away s, p50 / p99 / max',
];

export function rowCells(row: FaultRow): string[] {
  const seconds = (share: number): string => percentile(row.awaySeconds, share).toFixed(1);
  return [
    row.fault,
    String(row.injectionCount),
    `${row.okCount} / ${row.failCount} / ${row.unknownCount}`,
    String(row.ackedCount),
    String(row.lostCount),
    String(row.duplicateCount),
    String(row.otherCount),
    `${seconds(0.5)} / ${seconds(0.99)} / ${seconds(1)}`,
  ];
}
