/** An instance of the service that owns the shard, or believes so: the production core on a simulated log. */
import { PartitaError } from '@partita/domain';
import { loading, ShardCore } from '@partita/groups';
import type { GroupCommand, GroupRecord, RecordForm, ShardAnswer, ShardAppend, TopicCatalog } from '@partita/groups';
import type { Actor, Event } from '../core/event-heap.ts';
import type { ClaimAnswer } from './group-log.ts';
import { NodeSessions } from './node-sessions.ts';
import type { World } from './world.ts';

/** Whoever waits for an answer. */
export type Ticket = (answer: ShardAnswer<unknown>) => void;
type Core = ShardCore<Ticket, GroupRecord>;

const CLAIM_ATTEMPT_COUNT_MAX = 5;
const FENCED_PAUSE_MS = 200;
const FAILED_PAUSE_MS = 30;
const CALM_DOUBT_MS = 150;
const TICK_MS = 150;

export class ShardNode implements Actor {
  readonly index: number;
  readonly #world: World;
  life = 0;
  isPaused = false;
  backlog: Event[] = [];
  isUp = true;
  catalog: TopicCatalog;
  #catalogVersion = 0;
  core: Core | undefined;
  #sessions: NodeSessions | undefined;
  /** Commands of this ownership that wait for their answers. */
  #open = new Set<Ticket>();
  /** Of one ownership; another one of this process is another claimant. */
  #claimant = '';

  constructor(world: World, index: number) {
    this.#world = world;
    this.index = index;
    this.catalog = world.topics.catalog;
  }

  /** Told that it owns the shard. */
  assign(): void {
    if (!this.isUp || this.core !== undefined) return;
    const { plan } = this.#world;
    const form: RecordForm<GroupRecord> = {
      encode: (record) => record,
      bytesOf: () => 1,
      batchBytesMax: plan.batchRecordsMax,
    };
    const known: TopicCatalog = {
      topic: (name) => this.catalog.topic(name),
      matching: (pattern) => this.catalog.matching(pattern),
      has: (topicId) => this.catalog.has(topicId),
    };
    const core: Core = new ShardCore({ catalog: known, form, resendCountMax: plan.resendCountMax });
    this.core = core;
    this.#open = new Set();
    this.#claimant = this.#world.freshId(`n${this.index}.`);
    this.#sessions = new NodeSessions(this.#world, this, core);
    this.#claim(core, this.#claimant, 1, 1);
    this.#tick(core);
  }

  /** Told that another one does. */
  unassign(): void {
    const { core } = this;
    if (core === undefined) return;
    this.core = undefined;
    tell(core.stop());
    this.#sessions?.stop();
    this.#sessions = undefined;
  }

  crash(): void {
    this.life += 1;
    this.isUp = false;
    this.isPaused = false;
    this.backlog = [];
    this.core = undefined;
    this.#sessions?.broken();
    this.#sessions = undefined;
  }

  start(): void {
    if (this.isUp) return;
    this.isUp = true;
    this.catalog = this.#world.topics.catalog;
    this.#catalogVersion = this.#world.topics.version;
    if (this.#world.assigned === this) this.assign();
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    if (!this.isPaused) return;
    this.isPaused = false;
    const backlog = this.backlog;
    this.backlog = [];
    this.#world.catchUp(this, backlog);
  }

  /** Hears of topics that have changed. */
  learn(catalog: TopicCatalog, version: number): void {
    if (version < this.#catalogVersion) return;
    this.catalog = catalog;
    this.#catalogVersion = version;
    this.#sessions?.refresh();
  }

  /** The members' side, while the shard is served. */
  get serving(): NodeSessions | undefined {
    return this.core?.phase === 'serving' ? this.#sessions : undefined;
  }

  get openCommandCount(): number {
    return this.#open.size;
  }

  submit(command: GroupCommand, ticket: Ticket): void {
    const { core } = this;
    try {
      if (core === undefined) throw loading(command.group);
      core.submit(command, this.#answeredOnce(core, ticket));
    } catch (thrown) {
      if (!(thrown instanceof PartitaError)) throw thrown;
      ticket({ ticket, error: thrown });
      return;
    }
    this.#pump(core);
  }

  /** Every command is answered, and once. */
  #answeredOnce(core: Core, ticket: Ticket): Ticket {
    const open = this.#open;
    open.add(ticket);
    return (answer) => {
      if (!open.delete(ticket))
        this.#world.violate(`liveness: a command was answered twice under claim ${core.claimEpoch}`);
      ticket(answer);
    };
  }

  /** A claim in doubt is repeated as it is. */
  #claim(core: Core, claimant: string, epoch: number, attempt: number): void {
    const again = (next: number, delayMs: number, attempts: number) =>
      this.#world.afterOf(this, delayMs, () => {
        if (core.phase === 'claiming') this.#claim(core, claimant, next, attempts);
      });
    this.#request(
      () => this.#world.log.claim(epoch, claimant),
      (answer: ClaimAnswer | undefined) => {
        if (core.phase !== 'claiming') return;
        if (answer === undefined) return again(epoch, FAILED_PAUSE_MS, attempt);
        if (answer.kind === 'refused') {
          const isLast = attempt >= CLAIM_ATTEMPT_COUNT_MAX;
          return again(answer.current + 1, isLast ? FENCED_PAUSE_MS : 0, isLast ? 1 : attempt + 1);
        }
        core.claimed(epoch);
        this.#replay(core, 0, answer.offset);
      },
    );
  }

  #replay(core: Core, from: number, end: number): void {
    const world = this.#world;
    const { claimEpoch } = core;
    world.afterOf(this, world.delayMs(), () => {
      if (core.phase !== 'replaying' || core.claimEpoch !== claimEpoch) return;
      const count = world.plan.replayRecordCount;
      const entries = world.log.read(from, count);
      for (const { offset, record } of entries) if (offset < end) core.replayed(record);
      const last = entries.at(-1);
      if (last !== undefined && entries.length === count) return this.#replay(core, last.offset + 1, end);
      const isAlone = last === undefined || last.offset < end;
      core.replayEnded(isAlone);
      if (!isAlone) {
        world.see('replay overtaken by another owner');
        return this.#recover(core, FENCED_PAUSE_MS);
      }
      world.note(() => `node ${this.index} serves under claim ${claimEpoch}`);
      world.oracle.onReplayed(core);
      this.#sessions?.onServing();
      this.#pump(core);
    });
  }

  #pump(core: Core): void {
    while (core.hasWork) {
      const { answers, append } = core.step();
      tell(answers);
      if (append === undefined) continue;
      this.#world.oracle.onDecide(append.claimEpoch, this.catalog);
      this.#append(core, append);
      return;
    }
  }

  #append(core: Core, append: ShardAppend<GroupRecord>): void {
    this.#request(
      () => this.#world.log.append(append),
      (answer) => {
        if (answer === 'appended') return this.#onAppended(core);
        if (answer !== undefined)
          return this.#recover(core, answer === 'FENCED_CLAIM' ? FENCED_PAUSE_MS : FAILED_PAUSE_MS);
        this.#world.tally.add('appends in doubt');
        const again = core.inDoubt();
        if (again === undefined) return this.#recover(core, 0);
        this.#world.see('append sent again');
        this.#append(core, again);
      },
    );
  }

  #onAppended(core: Core): void {
    const news = core.appended();
    this.#world.oracle.onAppended(core);
    if (core === this.core) this.#sessions?.onChanged(news.changed);
    tell(news.answers);
    this.#pump(core);
  }

  #recover(core: Core, pauseMs: number): void {
    tell(core.failed());
    if (core.phase !== 'claiming') return;
    this.#world.afterOf(this, pauseMs, () => {
      if (core.phase === 'claiming') this.#claim(core, this.#claimant, core.claimEpoch + 1, 1);
    });
  }

  /** Asks the leader. Undefined = no answer came in time: what was asked may have been done, or may yet be. */
  #request<Answer>(ask: () => Answer, onAnswer: (answer: Answer | undefined) => void): void {
    const world = this.#world;
    const { life } = this;
    let isOver = false;
    const end = (answer: Answer | undefined): void => {
      if (isOver || this.life !== life) return;
      isOver = true;
      onAnswer(answer);
    };
    world.send(undefined, () => {
      if (world.isLeaderAway) return;
      const answer = ask();
      world.send(this, () => end(answer));
    });
    const doubtMs = world.isCalm ? Math.max(world.plan.doubtMs, CALM_DOUBT_MS) : world.plan.doubtMs;
    world.afterOf(this, doubtMs, () => end(undefined));
  }

  #tick(core: Core): void {
    this.#world.afterOf(this, TICK_MS, () => {
      if (this.core !== core) return;
      if (core.phase === 'serving') this.#sessions?.tick();
      this.#tick(core);
    });
  }
}

function tell(answers: readonly ShardAnswer<Ticket>[]): void {
  for (const answer of answers) {
    if ('error' in answer && answer.error.reason === 'INTERNAL') {
      const { cause } = answer.error;
      throw cause instanceof Error ? cause : answer.error;
    }
    answer.ticket(answer);
  }
}
