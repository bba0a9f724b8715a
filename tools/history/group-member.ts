/**
 * A member of a group by the raw protocol, as a process of its own: it decides what it processes, commits and answers, and
 * writes down what it did and was told. A record is processed, and so given to it, when it takes it from its inbox: what
 * lies there when it crashes is not. It keeps coming back with its id while streams end, and as a new member when it was
 * put out.
 */
import { pause } from '@partita/client';
import type { PartitaError } from '@partita/domain';
import { ConsumeInitial } from '@partita/protocol';
import type { AssignedPartition, ConsumeAssignment, ConsumeRecords, OffsetCommit } from '@partita/protocol';
import type { GroupSite } from './group-site.ts';
import { keyOf } from './history.ts';
import type { Placed } from './history.ts';
import { MemberCommits } from './member-commits.ts';
import { commitOf, MemberHoldings } from './member-holdings.ts';
import { MemberStream } from './member-stream.ts';
import type { MemberAnswer } from './member-stream.ts';

export const SESSION_MS = 3000;
const REBALANCE_MS = 5000;
const CREDIT = { records: 300n, bytes: 1_000_000n };
/** As the contract counts a record besides its key and value. */
const RECORD_BYTES = 128;
const WORK_MS = 20;
/** Messages that it processes at a time; what is beyond waits in its inbox. */
const WORK_COUNT_MAX = 20;
const COMMIT_MS = 250;
const RETRY_MS = 200;
/** How long after a release a member that does not care commits once more. */
const STRAGGLE_MS = 500;
/** Streams end with these when a process dies, stops, or does not own the group. */
const EXPECTED: ReadonlySet<string> = new Set([
  'NOT_GROUP_OWNER',
  'GROUP_LOADING',
  'SHUTTING_DOWN',
  'SERVICE_UNREACHABLE',
  'OUTCOME_UNKNOWN',
  'DEADLINE_EXCEEDED',
  'LEADER_NOT_AVAILABLE',
  'CANCELLED',
]);

type End = { readonly error: PartitaError | undefined } | 'broken';

export class GroupMember {
  readonly process: number;
  readonly #site: GroupSite;
  readonly #instanceId: string;
  readonly #commits: MemberCommits;
  readonly #holdings = new MemberHoldings();
  readonly #run: Promise<void>;
  #memberId = '';
  #memberEpoch = 0;
  #hint = '';
  #stream: MemberStream | undefined;
  #endStream: (how: End) => void = () => {};
  #inbox: ConsumeRecords[] = [];
  #stragglers: { readonly dueMs: number; readonly offsets: OffsetCommit[] }[] = [];
  #calling: Promise<void> | undefined;
  #work: NodeJS.Timeout | undefined;
  #joiningOp: number | undefined;
  #commitDueMs = 0;
  #streamCount = 0;
  #releaseCount = 0;
  #isFrozen = false;
  #isLeaving = false;
  #isOver = false;

  /** Joins at once. With an instance id it is static. */
  constructor(site: GroupSite, instanceId = '') {
    this.#site = site;
    this.#instanceId = instanceId;
    this.process = site.recorder.newProcess();
    this.#commits = new MemberCommits(site, this.process);
    this.#run = this.#live();
  }

  /** True when it is a member no more, nor wants to be. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Gone with all it knew. Its partitions are its group's again when its session is over. */
  async crash(): Promise<void> {
    if (this.#isOver) return;
    this.#site.figures.crashed += 1;
    this.#isOver = true;
    this.#site.recorder.note({ f: 'crash', process: this.process });
    this.breakStream();
    await this.#run;
  }

  /** Leaves with last commits; resolves when the server has ended the stream, or that takes too long. */
  async leave(waitMs: number): Promise<void> {
    this.#isLeaving = true;
    const offsets = this.#positions();
    this.#commits.tellUnanswered(this.#memberId, offsets);
    this.#stream?.send({ $case: 'leave', leave: { offsets } });
    await Promise.race([this.#run, pause(waitMs)]);
    this.#isOver = true;
    this.breakStream();
    await this.#run;
  }

  /** Its stream breaks; it comes back with its id. */
  breakStream(): void {
    this.#stream?.cancel();
    this.#endStream('broken');
  }

  /**
   * Stands still meanwhile, and goes on as if nothing had been: it processes what lies in its inbox and commits it, by the
   * stream and by a call of its own.
   */
  async standStill(meanwhile: () => Promise<void>): Promise<void> {
    const [memberId, memberEpoch] = [this.#memberId, this.#memberEpoch];
    this.#isFrozen = true;
    this.#stream?.freeze();
    await meanwhile();
    this.#isFrozen = false;
    while (this.#inbox.length > 0) this.#processNext();
    const offsets = this.#positions();
    this.#stream?.thaw();
    this.#ack(offsets, true);
    if (memberId === '') return;
    // Before it asks where to go on: what is under way then may count or not.
    this.#calling = this.#commits.commitUnary(memberId, memberEpoch, offsets);
    await this.#calling;
  }

  async #live(): Promise<void> {
    while (this.#goesOn()) {
      const end = await this.#oneStream();
      if (end === 'broken') {
        if (this.#goesOn()) this.#site.figures.streamsLost += 1;
      } else {
        this.#onEnd(end.error);
        if (this.#goesOn()) await pause(RETRY_MS);
      }
      await this.#calling;
    }
  }

  /** A method, because that changes during every await. */
  #goesOn(): boolean {
    return !this.#isOver;
  }

  /** Opens a stream and works on it until it ends. */
  async #oneStream(): Promise<End> {
    const { pool, addresses, recorder } = this.#site;
    const turn = (this.process + this.#streamCount++) % addresses.length;
    const address = this.#hint === '' ? (addresses[turn] ?? '') : this.#hint;
    if (this.#memberId === '') this.#joiningOp = recorder.invoke(this.#subscription());
    const end = await new Promise<End>((resolve) => {
      this.#endStream = resolve;
      this.#stream = new MemberStream(pool, address, {
        onAnswer: (answer) => this.#onAnswer(answer),
        onEnd: (error) => resolve({ error }),
      });
      this.#stream.send({ $case: 'initial', initial: this.#initial() });
      this.#work = setInterval(() => this.#workOn(), WORK_MS);
    });
    clearInterval(this.#work);
    this.#endJoining('info');
    this.#forgetStream();
    return end;
  }

  #endJoining(type: 'ok' | 'info'): void {
    if (this.#joiningOp === undefined) return;
    this.#site.recorder.complete(this.#joiningOp, type, this.#subscription());
    this.#joiningOp = undefined;
    if (type === 'ok') this.#site.figures.joined += 1;
  }

  #subscription() {
    const { group, topic } = this.#site;
    return { f: 'subscribe' as const, process: this.process, group, topics: [topic] };
  }

  #forgetStream(): void {
    this.#stream = undefined;
    this.#commits.lose();
    this.#holdings.clear();
    this.#inbox = [];
    this.#stragglers = [];
  }

  #initial(): ConsumeInitial {
    return ConsumeInitial.fromPartial({
      group: this.#site.group,
      memberId: this.#memberId,
      memberEpoch: this.#memberEpoch,
      instanceId: this.#instanceId,
      subscription: { topics: [this.#site.topic] },
      credit: CREDIT,
      sessionTimeout: { seconds: BigInt(SESSION_MS / 1000) },
      rebalanceTimeout: { seconds: BigInt(REBALANCE_MS / 1000) },
      // Some are passed on to the owner, some are told where it is.
      noRelay: this.process % 2 === 0,
    });
  }

  #onEnd(error: PartitaError | undefined): void {
    const { figures } = this.#site;
    this.#hint = '';
    if (error === undefined) {
      if (!this.#isLeaving) figures.unexpected.push('a stream ended with OK, and nobody had left');
      else figures.left += 1;
      this.#isOver = this.#isLeaving;
      return;
    }
    switch (error.reason) {
      case 'NOT_GROUP_OWNER':
        this.#hint = error.metadata['address'] ?? '';
        return;
      case 'FENCED_INSTANCE':
        figures.fenced += 1;
        this.#isOver = true;
        return;
      case 'STALE_GENERATION':
      case 'MEMBER_NOT_FOUND':
        figures.fenced += 1;
        [this.#memberId, this.#memberEpoch] = ['', 0];
        return;
      default:
        figures.streamsLost += 1;
        if (!EXPECTED.has(error.reason)) figures.unexpected.push(`${error.reason}: ${error.message}`);
    }
  }

  #onAnswer(answer: MemberAnswer): void {
    if (answer.$case === 'joined') {
      ({ memberId: this.#memberId, memberEpoch: this.#memberEpoch } = answer.joined);
      this.#endJoining('ok');
    } else if (answer.$case === 'assignment') this.#onAssignment(answer.assignment);
    else if (answer.$case === 'records') this.#inbox.push(answer.records);
    else if (answer.$case === 'ackResult') {
      this.#commits.onResult(answer.ackResult);
      // What was not taken and is still its own is committed again with the next.
      if (answer.ackResult.error !== undefined) for (const holding of this.#holdings.all()) holding.committed = 0;
    }
  }

  #onAssignment(assignment: ConsumeAssignment): void {
    const { recorder, group } = this.#site;
    this.#memberEpoch = assignment.memberEpoch;
    const { gained, asked, vanished } = this.#holdings.take(assignment);
    const about = { process: this.process, group, member: this.#memberId };
    if (vanished.length > 0) {
      // Nobody had asked for them: until now it worked on them, in this epoch too.
      const epochs = Object.fromEntries(vanished.map(({ key }) => [key, assignment.groupEpoch + 1]));
      recorder.note({ f: 'revoked', ...about, epochs });
    }
    if (asked.length > 0) this.#release(assignment, asked);
    if (gained.length === 0) return;
    const epochs = Object.fromEntries(gained.map(({ key, assigned }) => [key, assigned.assignmentEpoch]));
    const positions = Object.fromEntries(gained.map(({ key, next }) => [key, next]));
    recorder.note({ f: 'assigned', ...about, epochs, positions });
  }

  /** Gives up what it was asked for, in turns with a commit before it and in it, and now and then commits it later. */
  #release({ groupEpoch }: ConsumeAssignment, asked: ReturnType<MemberHoldings['take']>['asked']): void {
    const { recorder, group } = this.#site;
    const held = asked.flatMap(({ holding }) => holding ?? []);
    const offsets = held.map(commitOf);
    const isCommittedBefore = (this.#releaseCount += 1) % 2 === 0;
    if (isCommittedBefore) this.#ack(offsets, false);
    else this.#commits.tellUnanswered(this.#memberId, offsets);
    const partitions: AssignedPartition[] = asked.map(({ assigned }) => assigned);
    this.#stream?.send({ $case: 'revoked', revoked: { partitions, offsets: isCommittedBefore ? [] : offsets } });
    if (held.length === 0) return;
    const epochs = Object.fromEntries(held.map(({ key }) => [key, groupEpoch]));
    recorder.note({ f: 'revoked', process: this.process, group, member: this.#memberId, epochs });
    this.#stragglers.push({ dueMs: performance.now() + STRAGGLE_MS, offsets });
  }

  #workOn(): void {
    if (this.#isFrozen || this.#isLeaving) return;
    for (let count = 0; count < WORK_COUNT_MAX && this.#inbox.length > 0; count += 1) this.#processNext();
    const nowMs = performance.now();
    const due = this.#stragglers.filter(({ dueMs }) => dueMs <= nowMs);
    this.#stragglers = this.#stragglers.filter(({ dueMs }) => dueMs > nowMs);
    for (const { offsets } of due) this.#ack(offsets, true);
    if (nowMs < this.#commitDueMs) return;
    this.#commitDueMs = nowMs + COMMIT_MS;
    const moved = this.#holdings.all().filter(({ next, committed }) => next > committed);
    this.#ack(moved.map(commitOf), false);
    for (const holding of moved) holding.committed = holding.next;
  }

  #processNext(): void {
    const message = this.#inbox.shift();
    if (message === undefined) return;
    const { recorder, group } = this.#site;
    const key = keyOf(message.topic, message.partition);
    const holding = this.#holdings.at(key, message.assignmentEpoch);
    const last = message.records.at(-1);
    if (holding !== undefined && last !== undefined) {
      const told = { f: 'poll' as const, process: this.process, group };
      const records = message.records.map(({ offset, record }): Placed => [Number(offset), textOf(record?.value)]);
      recorder.complete(recorder.invoke(told), 'ok', { ...told, records: { [key]: records } });
      holding.next = Number(last.offset) + 1;
      holding.recordEpoch = last.leaderEpoch;
    }
    let bytes = 0;
    for (const { record } of message.records)
      bytes += RECORD_BYTES + (record?.key?.length ?? 0) + (record?.value?.length ?? 0);
    this.#stream?.send({ $case: 'credit', credit: { records: BigInt(message.records.length), bytes: BigInt(bytes) } });
  }

  #ack(offsets: OffsetCommit[], isStale: boolean): void {
    if (offsets.length === 0 || this.#stream === undefined || this.#memberId === '') return;
    const ackId = this.#commits.begin(this.#memberId, offsets, isStale);
    this.#stream.send({ $case: 'ack', ack: { ackId, offsets } });
  }

  #positions(): OffsetCommit[] {
    return this.#holdings.all().map(commitOf);
  }
}

function textOf(value: Uint8Array | undefined): string {
  return Buffer.from(value ?? []).toString('utf8');
}
