/** The figures of a campaign, for the reports of `npm run prove -- disk`, `-- core` and `-- group-core`. */
import { figure } from '@partita/tool-e2e/figures.ts';
import type { Campaign, Subject } from './campaign.ts';

/** What reports are written of. */
type Reported = Exclude<Subject, 'core-by-minimum'>;

const CORE_PROMISES: readonly (readonly [string, string])[] = [
  ['I1: acknowledged or committed records lost', 'I1'],
  ['I2: epochs with two leaders', 'I2'],
  ['I3: two records at one committed offset', 'I3'],
  ['I4: leaders without what was committed', 'I4'],
  ['I5: logs that do not match', 'I5'],
  ['I6: watermarks that fall', 'I6'],
  ['I7: promises broken', 'I7'],
  ['I8: suspect replicas counted', 'I8'],
  ['I11: refused appends committed', 'I11'],
  ['L1: partitions that stay without a leader', 'L1'],
  ['replicas stopped by a broken invariant', 'broker'],
];

/** Violations by their first words, so that a 0 stands for each promise. */
const PROMISES: Readonly<Record<Reported, readonly (readonly [string, string])[]>> = {
  log: [
    ['acknowledged batches lost', 'lost'],
    ['wrong bytes served', 'wrong bytes'],
    ['wrong offsets', 'wrong offset'],
    ['wrong epochs', 'wrong epochs'],
    ['wrong state', 'wrong state'],
    ['deleted or compacted records that came back', 'came back'],
    ['suspect by a power cut alone', 'suspect'],
    ['refused without damage', 'a log without damage'],
  ],
  journal: [
    ['answered changes lost', 'lost'],
    ['wrong state', 'wrong state'],
    ['refused without damage', 'a journal without damage'],
  ],
  groups: [
    ['I17: partitions with two owners, or terms that fall', 'I17'],
    ['I18: commits by others than the owner, lost, or falling', 'I18'],
    ['I19: records skipped', 'I19'],
    ['states that the log does not give', 'replay'],
    ['groups that do not settle, or records never read', 'liveness'],
  ],
  core: CORE_PROMISES,
  changes: CORE_PROMISES,
  cluster: [
    ['I1: acknowledged records lost', 'I1'],
    ['I2: epochs with two leaders', 'I2'],
    ['I3: replicas that differ below their watermarks', 'I3'],
    ['I4: leaders without what was committed', 'I4'],
    ['I6: watermarks that fall', 'I6'],
    ['I7: promises broken', 'I7'],
    ['I8: suspect replicas that lead', 'I8'],
    ['I9: replicas deleted by nobody', 'I9'],
    ['I11: refused appends in the log', 'I11'],
    ['I13: records of a session out of order', 'I13'],
    ['I14: records stored twice', 'I14'],
    ['I20: directory entries that fall', 'I20'],
    ['L1: partitions, topics or calls that stay stuck', 'L1'],
    ['directories that are not what brokers hold', 'the directory'],
    ['deleted topics that are still there', 'deleted topic'],
  ],
};

/** The report that a subject's figures belong to. */
const AREAS: Readonly<Record<Reported, string>> = {
  log: 'disk',
  journal: 'disk',
  core: 'core',
  changes: 'core',
  groups: 'group-core',
  cluster: 'cluster',
};

/** Tells what a campaign did, met and found. */
export function reportCampaign(subject: Reported, { seedCount, seconds, violations, counts }: Campaign): void {
  const area = AREAS[subject];
  figure(area, `${subject}: seeds`, seedCount);
  figure(area, `${subject}: seeds per second, two processes`, seedCount / seconds);
  for (const [name, begin] of PROMISES[subject]) {
    figure(area, `${subject}: ${name}`, violations.filter((text) => text.startsWith(begin)).length);
  }
  figure(area, `${subject}: broken promises in all`, violations.length);
  for (const [name, count] of Object.entries(counts).sort()) figure(area, `${subject}: ${name}`, count);
}
