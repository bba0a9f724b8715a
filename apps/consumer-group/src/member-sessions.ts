/**
 * Who of a shard's members is alive: when each was last heard, and through which stream it is reached. Liveness is not in
 * the log; a new owner gives every member its session time-out anew. A member whose time is over is put out by a command
 * like any other, so that its partitions are free only once that is durable.
 */
import { PartitaError } from '@partita/domain';
import { isUnsettled } from '@partita/groups';
import type { Group, TopicCatalog } from '@partita/groups';
import type { Logger, StateLines } from '@partita/runtime';
import type { ShardListener, ShardOwner } from './shard-owner.ts';

/** A member's stream. */
export interface MemberLink {
  /** The group may have changed: tell the member. */
  onGroupChanged(): void;
  end(error: PartitaError): void;
}

interface Session {
  readonly group: string;
  readonly memberId: string;
  /** Monotonic milliseconds. */
  heardMs: number;
  /** Since when it has something to give up; undefined = nothing. */
  revokingSinceMs: number | undefined;
  link: MemberLink | undefined;
  /** True once it is being put out. */
  fencing: boolean;
}

/** What is needed of the shard's owner. */
type Owner = Pick<ShardOwner, 'phase' | 'state' | 'isWriting' | 'submit'>;

export class MemberSessions implements ShardListener {
  readonly #catalog: TopicCatalog;
  readonly #logger: Logger;
  readonly #lines: StateLines;
  /** By group and member id. */
  readonly #sessions = new Map<string, Map<string, Session>>();
  #owner: Owner | undefined;
  /** True = topics changed while a decision was on its way to the log: what it made is looked at once it is there. */
  #looksAgain = false;

  constructor(catalog: TopicCatalog, logger: Logger, lines: StateLines) {
    this.#lines = lines;
    this.#catalog = catalog;
    this.#logger = logger;
  }

  /** Streams of members that are open. */
  get streamCount(): number {
    let count = 0;
    for (const { link } of this.#all()) if (link !== undefined) count += 1;
    return count;
  }

  /** Begins to watch; `owner` serves the shard of these members. */
  start(owner: Owner): void {
    this.#owner = owner;
  }

  /** The shard is not served here any more: members have to find its new owner. */
  stop(): void {
    const message = 'this instance does not own the group any more; come back with the same member id';
    for (const session of this.#all()) {
      session.link?.end(new PartitaError('GROUP_LOADING', message, { group: session.group }, { retryAfterMs: 200 }));
    }
    this.#sessions.clear();
  }

  /** Ties a stream to a member, instead of an earlier one. False when the member is gone. */
  attach(group: string, memberId: string, link: MemberLink): boolean {
    const session = this.#sessions.get(group)?.get(memberId);
    if (session === undefined) return false;
    const earlier = session.link;
    session.link = link;
    session.heardMs = performance.now();
    const instanceId = this.#owner?.state.get(group)?.members.get(memberId)?.instanceId ?? '';
    earlier?.end(replaced(group, memberId, instanceId));
    return true;
  }

  /** The stream is over; the member has until its session time-out to come back. */
  detach(group: string, memberId: string, link: MemberLink): void {
    const session = this.#sessions.get(group)?.get(memberId);
    if (session?.link === link) session.link = undefined;
  }

  heard(group: string, memberId: string): void {
    const session = this.#sessions.get(group)?.get(memberId);
    if (session !== undefined) session.heardMs = performance.now();
  }

  onServing(): void {
    const state = this.#owner?.state ?? new Map<string, Group>();
    for (const group of this.#sessions.keys()) if (!state.has(group)) this.#follow(group, undefined);
    for (const [id, group] of state) this.#follow(id, group);
    for (const session of this.#all()) session.heardMs = performance.now();
    this.refresh();
  }

  onChanged(groups: ReadonlySet<string>): void {
    for (const id of groups) this.#follow(id, this.#owner?.state.get(id));
    if (this.#looksAgain) this.refresh();
  }

  /** Topics may have come, gone or changed. */
  refresh(): void {
    const owner = this.#owner;
    if (owner?.phase !== 'serving') return;
    // What is on its way was decided by the topics of before, and is not in the state yet.
    this.#looksAgain = owner.isWriting;
    for (const [id, group] of owner.state) {
      if (group.members.size === 0 || !isUnsettled(group, this.#catalog)) continue;
      owner
        .submit({ kind: 'refresh', group: id })
        .catch((error: unknown) => this.#logger.debug({ err: error, group: id }, 'refresh refused'));
    }
  }

  /** Makes the sessions of a group those of its members, and tells the streams. */
  #follow(id: string, group: Group | undefined): void {
    const sessions = this.#sessions.get(id) ?? new Map<string, Session>();
    for (const [memberId, session] of sessions) {
      if (group?.members.has(memberId) === true) continue;
      sessions.delete(memberId);
      session.link?.end(fenced(id, memberId));
    }
    const nowMs = performance.now();
    for (const memberId of group?.members.keys() ?? []) {
      let session = sessions.get(memberId);
      if (session === undefined) {
        session = { group: id, memberId, heardMs: nowMs, revokingSinceMs: undefined, link: undefined, fencing: false };
        sessions.set(memberId, session);
      }
      session.revokingSinceMs = isRevoking(group, memberId) ? (session.revokingSinceMs ?? nowMs) : undefined;
      session.link?.onGroupChanged();
    }
    if (sessions.size === 0) this.#sessions.delete(id);
    else this.#sessions.set(id, sessions);
  }

  /** Puts out who was silent, or kept what it was to give up, for too long. Called a few times a second. */
  tick(): void {
    const owner = this.#owner;
    if (owner?.phase !== 'serving') return;
    const nowMs = performance.now();
    for (const session of this.#all()) {
      const member = owner.state.get(session.group)?.members.get(session.memberId);
      if (member === undefined || session.fencing) continue;
      const silentMs = nowMs - session.heardMs;
      const revokingMs = session.revokingSinceMs === undefined ? 0 : nowMs - session.revokingSinceMs;
      if (silentMs > member.sessionTimeoutMs) this.#fence(owner, session, `silent for ${Math.round(silentMs)} ms`);
      else if (revokingMs > member.rebalanceTimeoutMs)
        this.#fence(owner, session, `gave no partitions up for ${Math.round(revokingMs)} ms`);
    }
  }

  #fence(owner: Owner, session: Session, why: string): void {
    const { group, memberId } = session;
    session.fencing = true;
    this.#lines.write('member is put out', { group, member: memberId, why });
    owner.submit({ kind: 'fence', group, memberId, wallMs: Date.now() }).catch(() => (session.fencing = false));
  }

  *#all(): Generator<Session> {
    for (const sessions of this.#sessions.values()) yield* sessions.values();
  }
}

function isRevoking(group: Group | undefined, memberId: string): boolean {
  for (const key of group?.heldBy.get(memberId) ?? []) if (group?.held.get(key)?.revoking === true) return true;
  return false;
}

function replaced(group: string, memberId: string, instanceId: string): PartitaError {
  if (instanceId !== '') {
    return new PartitaError('FENCED_INSTANCE', `another process joined group "${group}" as "${instanceId}"`, {
      group,
      instance: instanceId,
    });
  }
  return new PartitaError('STALE_GENERATION', `member ${memberId} of group "${group}" has opened another stream`, {
    group,
    member: memberId,
  });
}

function fenced(group: string, memberId: string): PartitaError {
  const message = `member ${memberId} is not in group "${group}" any more: it left or was silent for too long; join again as a new member`;
  return new PartitaError('STALE_GENERATION', message, { group, member: memberId });
}
