/** The members' side of an owner: who is heard of, who is put out, and what each is told that it holds. */
import { PartitaError, partitionKey } from '@partita/domain';
import type { TopicPartition } from '@partita/domain';
import { assignmentOf, isUnsettled, memberEpochOf } from '@partita/groups';
import type { Group, JoinCommand, OffsetCommit, ReleaseCommand, ShardAnswer, ShardCore } from '@partita/groups';
import type { GroupRecord } from '@partita/groups';
import type { Commit, Told } from './member-process.ts';
import type { ShardNode, Ticket } from './shard-node.ts';
import type { Stream } from './stream.ts';
import type { World } from './world.ts';

interface Session {
  readonly group: string;
  readonly memberId: string;
  heardMs: number;
  revokingSinceMs: number | undefined;
  stream: Stream | undefined;
  told: string;
}

export interface JoinRequest extends Omit<JoinCommand, 'kind' | 'wallMs'> {
  readonly memberEpoch: number;
}

export class NodeSessions {
  readonly #world: World;
  readonly #node: ShardNode;
  readonly #core: ShardCore<Ticket, GroupRecord>;
  readonly #sessions = new Map<string, Session>();
  /** Topics changed while changes were on their way that know nothing of it. */
  #refreshDue = false;
  /** Start offsets that are being committed. */
  readonly #starting = new Set<string>();

  constructor(world: World, node: ShardNode, core: ShardCore<Ticket, GroupRecord>) {
    this.#world = world;
    this.#node = node;
    this.#core = core;
  }

  /** Another owner has the shard: members are sent away. */
  stop(): void {
    for (const { stream, group } of this.#sessions.values()) stream?.end(ended('GROUP_LOADING', group));
    this.#sessions.clear();
  }

  /** The process is gone. */
  broken(): void {
    for (const { stream } of this.#sessions.values()) stream?.end(undefined);
    this.#sessions.clear();
  }

  onServing(): void {
    const ids = new Set([...this.#core.state.keys(), ...[...this.#sessions.values()].map(({ group }) => group)]);
    this.#starting.clear();
    for (const id of ids) this.#follow(id);
    for (const session of this.#sessions.values()) session.heardMs = this.#world.nowMs;
    this.refresh();
  }

  onChanged(groups: ReadonlySet<string>): void {
    for (const id of groups) this.#follow(id);
    if (this.#refreshDue) this.refresh();
  }

  refresh(): void {
    if (this.#core.phase !== 'serving') return;
    this.#refreshDue = this.#core.isWriting;
    for (const [id, group] of this.#core.state) {
      if (group.members.size === 0 || !isUnsettled(group, this.#node.catalog)) continue;
      this.#node.submit({ kind: 'refresh', group: id }, () => undefined);
    }
  }

  tick(): void {
    const { nowMs } = this.#world;
    for (const { group, memberId, heardMs, revokingSinceMs, stream } of [...this.#sessions.values()]) {
      const member = this.#core.state.get(group)?.members.get(memberId);
      if (member === undefined) continue;
      stream?.down(() => stream.member.onAlive());
      const isSilent = nowMs - heardMs > member.sessionTimeoutMs;
      const isSlow = revokingSinceMs !== undefined && nowMs - revokingSinceMs > member.rebalanceTimeoutMs;
      if (!isSilent && !isSlow) continue;
      this.#world.see(isSilent ? 'silent member put out' : 'member that releases nothing put out');
      this.#node.submit({ kind: 'fence', group, memberId, wallMs: this.#world.wallMs }, () => undefined);
    }
  }

  /** Comes back under its id, or joins. */
  join(stream: Stream, request: JoinRequest): void {
    const { group, memberId, memberEpoch } = request;
    if (memberId === '') return this.#joinAnew(stream, request);
    this.#node.submit({ ...request, kind: 'rejoin' }, (answer) => {
      if (!('error' in answer)) {
        this.#world.oracle.onBack(memberId, request.clientId);
        return this.#enter(stream, group, memberId);
      }
      const { reason } = answer.error;
      if (reason === 'MEMBER_NOT_FOUND' && memberEpoch === 0) return this.#joinAnew(stream, request);
      stream.down(() => stream.member.onRefused(reason));
    });
  }

  heard(memberId: string): void {
    const session = this.#sessions.get(memberId);
    if (session !== undefined) session.heardMs = this.#world.nowMs;
  }

  commit(stream: Stream, group: string, memberId: string, commits: readonly Commit[]): void {
    const sent = this.offsets(memberId, commits);
    const { wallMs } = this.#world;
    this.#node.submit({ kind: 'commit', group, memberId, commits: sent, wallMs }, (answer) => {
      stream.down(() => stream.member.onCommitted(commits, taken(sent, answer)));
    });
  }

  release(
    stream: Stream,
    command: Omit<ReleaseCommand, 'kind' | 'wallMs' | 'commits'>,
    commits: readonly Commit[],
  ): void {
    const sent = this.offsets(command.memberId, commits);
    const release: ReleaseCommand = { ...command, kind: 'release', commits: sent, wallMs: this.#world.wallMs };
    this.#node.submit(release, (answer) => {
      stream.down(() => stream.member.onCommitted(commits, taken(sent, answer)));
    });
  }

  /** What goes to the core; commits of topics that are gone are left out. The metadata tells the oracle who sent it. */
  offsets(memberId: string, commits: readonly Commit[]): OffsetCommit[] {
    return commits.flatMap(({ partition, nextOffset, epoch, process }) => {
      const end = this.#world.topics.endOf(partition.topicId, partition.partition);
      if (end === undefined) return [];
      const place = { topic: partition.topicId, partition, nextOffset: BigInt(nextOffset), recordEpoch: 0 };
      return { ...place, metadata: `${memberId}|${epoch}|${process}`, epoch, highWatermark: BigInt(end) };
    });
  }

  #joinAnew(stream: Stream, request: JoinRequest): void {
    const memberId = this.#world.freshId('m');
    const peer = this.#world.freshId('j');
    const { wallMs } = this.#world;
    this.#node.submit({ ...request, kind: 'join', memberId, peer, wallMs }, (answer) => {
      if ('error' in answer) return stream.down(() => stream.member.onRefused(answer.error.reason));
      this.#world.oracle.onJoined(request.group, answer.response.memberId, peer);
      this.#enter(stream, request.group, answer.response.memberId);
    });
  }

  #enter(stream: Stream, group: string, memberId: string): void {
    const session = this.#sessions.get(memberId);
    if (session === undefined) return stream.down(() => stream.member.onRefused('GROUP_LOADING'));
    const { stream: earlier } = session;
    if (earlier !== undefined && earlier !== stream) {
      const isStatic = this.#core.state.get(group)?.members.get(memberId)?.instanceId !== '';
      earlier.end(ended(isStatic ? 'FENCED_INSTANCE' : 'STALE_GENERATION', group));
    }
    session.stream = stream;
    session.heardMs = this.#world.nowMs;
    session.told = '';
    stream.down(() => stream.member.onJoined(memberId));
    const state = this.#core.state.get(group);
    if (state !== undefined) this.#tell(session, state);
  }

  #follow(id: string): void {
    const group = this.#core.state.get(id);
    for (const session of [...this.#sessions.values()]) {
      if (session.group !== id || group?.members.has(session.memberId) === true) continue;
      this.#sessions.delete(session.memberId);
      session.stream?.end(ended('STALE_GENERATION', id));
    }
    if (group === undefined) return;
    for (const memberId of group.members.keys()) {
      let session = this.#sessions.get(memberId);
      if (session === undefined) {
        const { nowMs } = this.#world;
        session = { group: id, memberId, heardMs: nowMs, revokingSinceMs: undefined, stream: undefined, told: '' };
        this.#sessions.set(memberId, session);
      }
      const isRevoking = assignmentOf(group, memberId).some(({ revoking }) => revoking);
      session.revokingSinceMs = isRevoking ? (session.revokingSinceMs ?? this.#world.nowMs) : undefined;
      this.#tell(session, group);
    }
  }

  /** Sends what the member holds, unless it knows. Partitions without a start get one first, and follow. */
  #tell(session: Session, group: Group): void {
    const { stream, memberId } = session;
    if (stream === undefined) return;
    const missing: TopicPartition[] = [];
    const partitions: Told['partitions'][number][] = [];
    for (const { partition, assignmentEpoch, revoking } of assignmentOf(group, memberId)) {
      const start = group.offsets.get(partitionKey(partition))?.nextOffset;
      if (start === undefined && !revoking) missing.push(partition);
      else partitions.push({ partition, assignmentEpoch, revoking, start: Number(start ?? 0n) });
    }
    const epoch = memberEpochOf(group, memberId);
    const text = `${epoch} ${partitions.map((held) => `${partitionKey(held.partition)} ${held.assignmentEpoch} ${held.revoking}`).join()}`;
    if (text !== session.told) {
      this.#world.oracle.onBack(memberId, stream.member.process);
      stream.down(() => stream.member.onAssignment({ epoch, partitions }));
    }
    session.told = text;
    this.#commitStarts(group.id, missing);
  }

  #commitStarts(group: string, missing: readonly TopicPartition[]): void {
    const asked = missing.filter((partition) => !this.#starting.has(`${group}/${partitionKey(partition)}`));
    if (asked.length === 0) return;
    const forget = (): void => {
      for (const partition of asked) this.#starting.delete(`${group}/${partitionKey(partition)}`);
    };
    for (const partition of asked) this.#starting.add(`${group}/${partitionKey(partition)}`);
    const starts = asked.map((partition) => ({ topic: partition.topicId, partition, nextOffset: 0n }));
    this.#node.submit({ kind: 'startOffsets', group, starts, wallMs: this.#world.wallMs }, forget);
  }
}

/** What became of the commits of a command: those that hold. */
function taken(sent: readonly OffsetCommit[], answer: ShardAnswer<unknown>): readonly OffsetCommit[] {
  if ('error' in answer) return [];
  const refused = new Set(answer.response.refusals.map(({ commit }) => commit));
  return sent.filter((commit) => !refused.has(commit));
}

function ended(reason: 'GROUP_LOADING' | 'STALE_GENERATION' | 'FENCED_INSTANCE', group: string): PartitaError {
  return new PartitaError(reason, 'the stream is over', { group });
}
