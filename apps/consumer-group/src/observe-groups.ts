/** Gauges of the groups that this instance owns, read when somebody asks. */
import type { Metrics } from '@partita/telemetry';
import type { GroupShards } from './group-shards.ts';
import type { LagWatch } from './lag-watch.ts';
import type { OpenFeeds } from './open-feeds.ts';

const MS_PER_S = 1000;

export interface ObservedGroups {
  readonly shards: GroupShards;
  readonly feeds: OpenFeeds;
  readonly lag: LagWatch;
  readonly wallMs: () => number;
}

/** Returns how to stop. */
export function observeGroups(metrics: Metrics, { shards, feeds, lag, wallMs }: ObservedGroups): () => void {
  const serving = () => shards.all().filter(({ owner }) => owner.phase === 'serving');
  const groups = () => serving().flatMap(({ owner }) => [...owner.state.values()]);
  const eachLag = (read: (group: string, found: ReturnType<LagWatch['lagsOf']>[number]) => void): void => {
    for (const { id } of groups()) for (const found of lag.lagsOf(id)) read(id, found);
  };
  const stops = [
    metrics.observe('partita.group.shards', (report) => report(serving().length)),
    metrics.observe('partita.group.groups', (report) => report(groups().length)),
    metrics.observe('partita.group.members', (report) => {
      for (const { id, members } of groups()) report(members.size, { group: id });
    }),
    metrics.observe('partita.group.streams', (report) =>
      report(serving().reduce((sum, { sessions }) => sum + sessions.streamCount, 0)),
    ),
    metrics.observe('partita.group.queue.bytes', (report) => report(feeds.bufferedBytes)),
    metrics.observe('partita.group.lag.records', (report) =>
      eachLag((group, { topic, records }) => report(records, { group, topic })),
    ),
    metrics.observe('partita.group.lag.bytes', (report) =>
      eachLag((group, { topic, bytes }) => report(bytes, { group, topic })),
    ),
    metrics.observe('partita.group.lag.age', (report) =>
      eachLag((group, { topic, sinceMs }) =>
        report(sinceMs === undefined ? 0 : Math.max(0, wallMs() - sinceMs) / MS_PER_S, { group, topic }),
      ),
    ),
  ];
  return () => {
    for (const stop of stops) stop();
  };
}
