/** The figures of a campaign, for the report of `npm run prove -- disk`. */
import { figure } from '@partita/tool-e2e/figures.ts';
import type { Campaign, Subject } from './campaign.ts';

/** Violations by their first words, so that a 0 stands for each promise. */
const PROMISES: Readonly<Record<Subject, readonly (readonly [string, string])[]>> = {
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
};

/** Tells what a campaign did, met and found. */
export function reportCampaign(subject: Subject, { seedCount, seconds, violations, counts }: Campaign): void {
  figure('disk', `${subject}: seeds`, seedCount);
  figure('disk', `${subject}: seeds per second, two processes`, seedCount / seconds);
  for (const [name, begin] of PROMISES[subject]) {
    figure('disk', `${subject}: ${name}`, violations.filter((text) => text.startsWith(begin)).length);
  }
  figure('disk', `${subject}: broken promises in all`, violations.length);
  for (const [name, count] of Object.entries(counts).sort()) figure('disk', `${subject}: ${name}`, count);
}
