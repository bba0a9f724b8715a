import { ReplicaMeta, TopicTombstone } from '@partita/protocol';
import { expect, test } from 'vitest';
import { checkReplicas } from './replica-check.ts';
import type { ReplicaFacts } from './replica-check.ts';

const TOPIC = '0d9f7a34-95a1-4d0c-8a3f-5b1d2c3e4f50';
const P = `${TOPIC}/0`;

function meta(content: Partial<ReplicaMeta> = {}): Uint8Array {
  return ReplicaMeta.encode(ReplicaMeta.fromPartial(content)).finish();
}

/** Findings as `severity check name`, for a broker with one replica whose files are there, but for what is given. */
function check(facts: Partial<ReplicaFacts>): string[] {
  const whole: ReplicaFacts = {
    journal: new Map([[`replica/${P}`, meta()]]),
    directories: new Set([P]),
    topics: new Map([[TOPIC, 'intact']]),
    knownSynced: new Map([[P, 5n]]),
    ...facts,
  };
  return checkReplicas(whole).map(({ severity, check: what, name }) => `${severity} ${what} ${name}`);
}

test('replicas whose files are there are fine', () => {
  expect(check({})).toEqual([]);
});

test('a replica without files has lost what was durable, or was never begun', () => {
  expect(check({ directories: new Set() })).toEqual([`damage log-end ${P}`]);
  expect(check({ directories: new Set(), knownSynced: new Map() })).toEqual([`note journal ${P}`]);
});

test('a replica without topic.config stays offline; one that is damaged has been told of', () => {
  const expected = [`damage topic-config ${TOPIC}/topic.config`];
  expect(check({ topics: new Map([[TOPIC, 'missing']]) })).toEqual(expected);
  expect(check({ topics: new Map() })).toEqual(expected);
  expect(check({ topics: new Map([[TOPIC, 'damaged']]) })).toEqual([]);
});

test('suspect replicas are noted', () => {
  expect(check({ journal: new Map([[`replica/${P}`, meta({ suspect: true })]]) })).toEqual([`note journal ${P}`]);
});

test('files of no replica are noted, those of a deleted topic once', () => {
  const nothing = { journal: new Map<string, Uint8Array>() };
  expect(check(nothing)).toEqual([`note leftover ${P}`]);
  expect(check({ ...nothing, directories: new Set() })).toEqual(['note checkpoint checkpoint']);
  const tombstone = TopicTombstone.encode(TopicTombstone.fromPartial({ topicId: TOPIC })).finish();
  expect(check({ journal: new Map([[`tombstone/${TOPIC}`, tombstone]]) })).toEqual([`note leftover ${TOPIC}`]);
});

test('what cannot be read of the journal is damage where it is a promise', () => {
  const garbage = Buffer.from([0xff]);
  const journal = new Map([
    [`replica/${P}`, garbage],
    ['other', garbage],
  ]);
  expect(check({ journal })).toEqual([
    'damage journal meta.journal',
    'note journal meta.journal',
    `note leftover ${P}`,
  ]);
  expect(check({ journal: undefined })).toEqual(['damage journal meta.journal']);
  expect(check({ journal: undefined, directories: new Set() })).toEqual([]);
});
