/** A group under a checked history: its members come and go while something happens, then one sees whether it was hurt. */
import { keyHash } from '@partita/batch';
import { GroupServiceService } from '@partita/protocol';
import { callUnary } from '@partita/rpc/client';
import { checkHistory } from '@partita/tool-history/checker.ts';
import type { Verdict } from '@partita/tool-history/checker.ts';
import { reportGroup } from '@partita/tool-history/group-report.ts';
import type { GroupReport } from '@partita/tool-history/group-report.ts';
import type { MemberFigures } from '@partita/tool-history/group-site.ts';
import { GroupWorkload } from '@partita/tool-history/group-workload.ts';
import { Recorder } from '@partita/tool-history/recorder.ts';
import { Workload } from '@partita/tool-history/workload.ts';
import { expect } from 'vitest';
import { Api } from './api.ts';
import { figure } from './figures.ts';
import type { Cluster } from './harness.ts';
import { ReplicatedTopic } from './replicated.ts';
import { until } from './until.ts';

/** Topic that holds the state of all groups. */
const GROUPS_TOPIC = '__groups';
const RECORDS_PER_SECOND = 200;

/** What came of a watched time. */
export interface Watched {
  readonly verdict: Verdict;
  readonly members: MemberFigures;
  readonly report: GroupReport;
  /** What the group had not consumed when the time was up. */
  readonly missing: readonly string[];
}

export class WatchedGroup {
  readonly name: string;
  readonly topic: ReplicatedTopic;
  readonly #cluster: () => Cluster;

  constructor(cluster: () => Cluster, name: string, partitionCount: number) {
    this.#cluster = cluster;
    this.name = name;
    this.topic = new ReplicatedTopic(cluster, 'groups', `of-${name}`, partitionCount);
  }

  /** Makes the topic and waits until all replicas are in sync, those of the groups' state, too. */
  async create(): Promise<void> {
    await this.topic.create();
    await this.untilWhole();
  }

  async untilWhole(): Promise<void> {
    await this.topic.untilInSync(3);
    await new ReplicatedTopic(this.#cluster, 'groups', GROUPS_TOPIC, 1).untilInSync(3);
  }

  /** Broker that leads the shard of the group. */
  async shardLeader(): Promise<number> {
    const api = new Api(this.#cluster());
    try {
      const hash = keyHash(Buffer.from(this.name, 'utf8'));
      const { partitions } = await until('the groups topic', 20, () => api.getTopic(GROUPS_TOPIC));
      const shard = partitions.find(({ hashMin, hashMax }) => hashMin <= hash && hash <= hashMax);
      if (shard === undefined || shard.leaderId === 0) throw new Error(`nobody leads the shard of ${this.name}`);
      return shard.leaderId;
    } finally {
      api.close();
    }
  }

  /** Process that owns the group. */
  async ownerPid(): Promise<number> {
    const api = new Api(this.#cluster());
    const { consumerGroup, consumerGroups, pids } = this.#cluster().file;
    const request = { group: this.name };
    try {
      const { ownerAddress } = await until('the owner of the group', 20, () =>
        callUnary(api.pool.client(consumerGroup), GroupServiceService.describeGroup, request),
      );
      const pid = pids.consumerGroup[consumerGroups.indexOf(ownerAddress)];
      if (pid === undefined) throw new Error(`${ownerAddress} is none of ${consumerGroups.join()}`);
      return pid;
    } finally {
      api.close();
    }
  }

  /** Producers and members work while it happens; then the members go on until the group has everything. */
  async watch(happening: (work: GroupWorkload) => Promise<void>, secondsMax = 60): Promise<Watched> {
    const recorder = new Recorder(historyFile(this.name));
    const endpoints = [this.#cluster().addresses.gateway];
    const options = { recorder, topic: this.topic.name };
    const workload = await Workload.start({
      ...options,
      endpoints,
      readerCount: 0,
      recordsPerSecondMax: RECORDS_PER_SECOND,
    });
    const work = new GroupWorkload({ ...options, group: this.name, addresses: this.#cluster().file.consumerGroups });
    const missing: string[] = [];
    try {
      await happening(work);
      await work.calmDown();
      await workload.stop();
      missing.push(...(await work.untilConsumed(secondsMax)));
    } finally {
      await work.stop();
      await workload.stop();
    }
    missing.push(...(await workload.finalRead(secondsMax, endpoints)));
    recorder.close();
    const verdict = checkHistory(recorder.events);
    const report = reportGroup(recorder.events, this.name);
    return { verdict, missing, members: work.figures, report };
  }

  /** The same, and there must be nothing wrong in it. */
  async workDuring(what: string, happening: (work: GroupWorkload) => Promise<void>): Promise<Watched> {
    const watched = await this.watch(happening);
    const { verdict, members, missing } = watched;
    expect(missing).toEqual([]);
    expect(verdict.anomalies).toEqual({});
    expect(members.unexpected).toEqual([]);
    expect(verdict.ackedCount).toBeGreaterThan(300);
    this.#report(what, watched);
    return watched;
  }

  #report(what: string, { verdict, members, report }: Watched): void {
    const tell = (name: string, value: number | string): void => figure('groups', `${what}: ${name}`, value);
    tell('records acknowledged', verdict.ackedCount);
    tell('records given to members', report.givenCount);
    tell(
      'members joined / left / crashed / put out',
      [members.joined, members.left, members.crashed, members.fenced].join(' / '),
    );
    tell('streams lost, and taken up again', members.streamsLost);
    tell('epochs at which partitions were assigned', report.rebalanceCount);
    tell(
      'commits accepted / refused / unknown',
      [report.commitOkCount, report.commitRefusedCount, report.commitUnknownCount].join(' / '),
    );
    tell('commits of zombies sent / refused', `${members.staleCommits} / ${members.staleCommitsRefused}`);
    tell('longest time without a record of some partition, ms', report.silenceMsMax);
    tell('skipped, taken from zombies, doubly owned, fallen, lost', Object.keys(verdict.anomalies).length);
  }
}

/** PARTITA_TEST_HISTORIES names a folder to keep them in. */
function historyFile(name: string): { readonly path?: string } {
  const folder = process.env['PARTITA_TEST_HISTORIES'];
  return folder === undefined ? {} : { path: `${folder}/${name}.jsonl` };
}
