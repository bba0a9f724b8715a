import { systemClock } from '@partita/runtime';
import { DirectoryUpdate, TopicRoute, WatchRoutesResponse } from '@partita/protocol';
import { DirectoryHolder } from '@partita/rpc/server';
import { beforeEach, describe, expect, it } from 'vitest';
import { DirectoryFeed, ShownLeases } from './directory-feed.ts';

describe('news of coordinators', () => {
  let holder: DirectoryHolder;
  let leases: ShownLeases;

  beforeEach(() => {
    holder = new DirectoryHolder(systemClock);
    leases = new ShownLeases();
  });

  const tell = (feed: DirectoryFeed, lease: number, ...topics: string[]): void => {
    const routes = topics.map((topic) => TopicRoute.fromPartial({ topic, topicId: topic, version: 1n }));
    const whole = WatchRoutesResponse.fromPartial({ reset: true, complete: true, routes });
    feed.apply(DirectoryUpdate.fromPartial({ leaseToken: BigInt(lease), routes: whole }));
  };
  const known = () => holder.snapshot().routes.map(({ topic }) => topic);

  it('are dropped when another session shows a newer lease', () => {
    const [old, current] = [new DirectoryFeed(holder, leases), new DirectoryFeed(holder, leases)];
    tell(old, 4, 'a');
    tell(current, 5, 'a', 'b');
    tell(old, 4, 'c');
    tell(old, 0, 'c');
    expect(known()).toEqual(['a', 'b']);
  });

  it('are taken under a lower number once nobody shows the higher one: the count of leases may be lost', () => {
    const [old, current] = [new DirectoryFeed(holder, leases), new DirectoryFeed(holder, leases)];
    tell(old, 5, 'a');
    tell(current, 1, 'b');
    expect(known()).toEqual(['a']);
    old.close();
    tell(current, 1, 'b');
    expect(known()).toEqual(['b']);
  });

  it('are taken from a coordinator whose rival has become a standby', () => {
    const [old, current] = [new DirectoryFeed(holder, leases), new DirectoryFeed(holder, leases)];
    tell(old, 5, 'a');
    tell(old, 0, 'a');
    tell(current, 1, 'b');
    expect(known()).toEqual(['b']);
  });
});
