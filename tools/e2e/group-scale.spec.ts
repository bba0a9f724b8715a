/**
 * Groups at size: a member that joins or leaves a large group stops nothing but the partitions that change hands, and many
 * groups with many members are one instance's everyday load. Times are held against each other in the long form only.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Api } from './api.ts';
import { figure } from './figures.ts';
import { startCluster } from './harness.ts';
import type { Cluster } from './harness.ts';
import { LargeGroup } from './large-group.ts';
import type { Resize } from './large-group.ts';
import { Member } from './member.ts';
import { memoryOf, workSecondsOf } from './process-figures.ts';
import { LONG } from './root.ts';
import { SteadyRecords } from './steady-records.ts';
import { until } from './until.ts';

const PARTITION_COUNT = LONG ? 500 : 60;
const MEMBER_COUNT = LONG ? 50 : 10;
const CALM_MS = LONG ? 15_000 : 2000;
const AFTER_MS = LONG ? 5000 : 1500;
const GROUP_COUNT = LONG ? 100 : 10;
const MEMBERS_PER_GROUP = 10;
const PAUSE_MS_MAX = 500;
const MIB = 1024 * 1024;
/** Streams of one connection. */
const STREAM_COUNT = 100;

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster();
});
afterAll(() => cluster.dispose());

function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

function report(what: string, { moved, others, settledMs }: Resize): void {
  const pauses = moved.map(({ pauseMs }) => pauseMs);
  figure('groups', `${what}: milliseconds until every member has its share`, settledMs);
  figure('groups', `${what}: partitions that changed hands`, moved.length);
  figure('groups', `${what}: pause of those in milliseconds, median`, percentile(pauses, 0.5));
  figure('groups', `${what}: pause of those in milliseconds, longest`, Math.max(...pauses));
  const ratios = others.map(({ gapMs, usualGapMs }) => gapMs / usualGapMs);
  figure('groups', `${what}: other partitions`, others.length);
  figure('groups', `${what}: their longest gap, in own p99 gaps before, largest`, Math.max(...ratios));
  figure('groups', `${what}: other partitions with a gap above two of their p99`, ratios.filter((r) => r > 2).length);
}

describe(`a group of ${MEMBER_COUNT} members over ${PARTITION_COUNT} partitions`, () => {
  it('lets go of nothing but what a joining or a leaving member needs', { timeout: 300_000 }, async () => {
    const api = new Api(cluster);
    await api.createTopic('wide', PARTITION_COUNT, { flush: 2 });
    const group = await LargeGroup.start(cluster.file.gateway, { group: 'large', topic: 'wide', count: MEMBER_COUNT });
    await group.untilSettled(PARTITION_COUNT);
    const records = await SteadyRecords.start(cluster.file.gateway, 'wide', PARTITION_COUNT);
    await sleep(CALM_MS);
    const joined = await group.resize(PARTITION_COUNT, AFTER_MS, () => group.add());
    const left = await group.resize(PARTITION_COUNT, AFTER_MS, () => group.removeLast());
    await records.stop();
    await until('every record', 30, () => group.arrivalCount >= records.acknowledgedCount);
    await group.close();
    api.close();
    report('a member joins', joined);
    report('a member leaves', left);
    // A leaving member's share, and a joining one's: nobody else's partitions move.
    expect(joined.moved).toHaveLength(Math.floor(PARTITION_COUNT / (MEMBER_COUNT + 1)));
    expect(left.moved).toHaveLength(Math.floor(PARTITION_COUNT / (MEMBER_COUNT + 1)));
    for (const { others } of [joined, left]) expect(others.filter(({ wasRevoked }) => wasRevoked)).toEqual([]);
    if (!LONG) return;
    for (const { moved, others } of [joined, left]) {
      expect(
        percentile(
          moved.map(({ pauseMs }) => pauseMs),
          0.5,
        ),
      ).toBeLessThan(PAUSE_MS_MAX);
      expect(others.filter(({ gapMs, usualGapMs }) => gapMs > 2 * usualGapMs)).toEqual([]);
    }
  });
});

describe(`${GROUP_COUNT * MEMBERS_PER_GROUP} members in ${GROUP_COUNT} groups on one instance`, () => {
  it('all stay members, and get every record while they heartbeat', { timeout: 300_000 }, async () => {
    const topicApi = new Api(cluster);
    await topicApi.createTopic('shared', MEMBERS_PER_GROUP, { flush: 2 });
    const pid = cluster.file.pids.consumerGroup[0] ?? 0;
    const before = memoryOf(pid).residentBytes;
    const apis: Api[] = [];
    const members: Member[] = [];
    for (let number = 0; number < GROUP_COUNT * MEMBERS_PER_GROUP; number += 1) {
      if (number % STREAM_COUNT === 0) apis.push(new Api(cluster));
      const group = `crowd-${number % GROUP_COUNT}`;
      members.push(new Member(apis.at(-1) ?? topicApi, cluster.addresses.consumerGroup, group, ['shared']));
      if (number % 20 === 19) await sleep(20);
    }
    await until('every member to hold one partition', 60, () => members.every(({ held }) => held.length === 1));
    const [workBefore, startedMs] = [workSecondsOf(pid), performance.now()];
    await sleep(AFTER_MS);
    const idleShare = (workSecondsOf(pid) - workBefore) / ((performance.now() - startedMs) / 1000);
    const records = await SteadyRecords.start(cluster.file.gateway, 'shared', MEMBERS_PER_GROUP);
    const loadedFrom = { work: workSecondsOf(pid), ms: performance.now() };
    await sleep(2 * AFTER_MS);
    const loadedShare = (workSecondsOf(pid) - loadedFrom.work) / ((performance.now() - loadedFrom.ms) / 1000);
    await records.stop();
    const deliveryCount = () => members.reduce((sum, { deliveries }) => sum + deliveries.length, 0);
    await until('every record in every group', 30, () => deliveryCount() >= records.acknowledgedCount * GROUP_COUNT);
    expect(deliveryCount()).toBe(records.acknowledgedCount * GROUP_COUNT);
    expect(members.filter(({ ended }) => ended !== undefined)).toEqual([]);
    const what = `${members.length} members in ${GROUP_COUNT} groups`;
    const latencies = members.flatMap(({ latenciesMs }) => latenciesMs);
    figure(
      'groups',
      `${what}: resident MiB of the instance, before and with them`,
      [before, memoryOf(pid).residentBytes].map((bytes) => Math.round(bytes / MIB)).join(' and '),
    );
    figure('groups', `${what}: processor share of heartbeats alone`, idleShare);
    figure('groups', `${what}: processor share while records come`, loadedShare);
    figure('groups', `${what}: records delivered`, deliveryCount());
    figure('groups', `${what}: milliseconds from send to delivery, median`, percentile(latencies, 0.5));
    figure('groups', `${what}: milliseconds from send to delivery, p99`, percentile(latencies, 0.99));
    for (const member of members) member.drop();
    for (const api of [...apis, topicApi]) api.close();
  });
});
