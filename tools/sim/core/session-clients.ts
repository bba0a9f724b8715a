/**
 * Programs that write as producer sessions: several batches on their way, each resent under its identity, to the same leader
 * or to another, until it is known to be stored; and some that are sent again long after that.
 */
import type { AppendOutcome } from '@partita/replication';
import { encodeAppend, sequenceOf } from './append-bytes.ts';
import type { AppendContent } from './append-bytes.ts';
import type { World } from './world.ts';

const IN_FLIGHT_MAX = 5;
const RESENDS_MAX = 8;
/** Wall clock at the beginning of the world. */
const EPOCH_MS = 1_000_000;
const ENDS_SESSION: ReadonlySet<string> = new Set(['UNKNOWN_PRODUCER', 'FENCED_PRODUCER', 'PRODUCER_EXPIRED']);

/** Sends a copy of an append to a broker; `done` hears of each answer. */
export type SendAppend = (
  append: { readonly partition: number; readonly acks: 'all' | 'leader'; readonly appendId: number },
  batch: Uint8Array,
  done: (outcome: AppendOutcome) => void,
) => void;

interface Session {
  readonly partition: number;
  readonly producerId: string;
  epoch: number;
  nextSequence: number;
  /** By first sequence. */
  readonly open: Map<number, SessionBatch>;
}

interface SessionBatch {
  readonly content: AppendContent;
  readonly acks: 'all' | 'leader';
  readonly firstSequence: number;
  sendCount: number;
}

export class SessionClients {
  readonly #world: World;
  readonly #send: SendAppend;
  readonly #freshAppendId: () => number;
  /** By partition: the one that goes on. */
  readonly #sessions = new Map<number, Session>();
  #sessionCount = 0;

  constructor(world: World, send: SendAppend, freshAppendId: () => number) {
    this.#world = world;
    this.#send = send;
    this.#freshAppendId = freshAppendId;
  }

  /** The next batch of the partition's session, if it may have one more on its way. */
  append(partition: number, acks: 'all' | 'leader'): void {
    const session = this.#sessions.get(partition) ?? this.#begin(partition, this.#world.nowMs + EPOCH_MS);
    const { random } = this.#world;
    if (session.open.size >= IN_FLIGHT_MAX) return;
    if (session.open.size === 0 && session.nextSequence > 0 && random.chance(0.2)) {
      session.epoch += 1;
      session.nextSequence = 0;
    }
    const appendId = this.#freshAppendId();
    const recordCount = random.pick([1, 1, 1, 2, 3]);
    const firstSequence = session.nextSequence;
    session.nextSequence += recordCount;
    const producer = sequenceOf(session.producerId, session.epoch, { appendId, firstSequence, recordCount });
    const batch = { content: { appendId, recordCount, producer }, acks, firstSequence, sendCount: 0 };
    session.open.set(firstSequence, batch);
    this.#try(session, batch);
  }

  #begin(partition: number, idTimeMs: number): Session {
    this.#sessionCount += 1;
    const time = Math.floor(idTimeMs).toString(16).padStart(12, '0');
    const producerId = `${time}70008${String(this.#sessionCount).padStart(15, '0')}`;
    const session: Session = { partition, producerId, epoch: 0, nextSequence: 0, open: new Map() };
    this.#sessions.set(partition, session);
    this.#world.tally.add('producer sessions');
    return session;
  }

  #try(session: Session, batch: SessionBatch): void {
    const world = this.#world;
    const { partition } = session;
    batch.sendCount += 1;
    const { sendCount, content, acks } = batch;
    this.#send({ partition, acks, appendId: content.appendId }, encodeAppend(content), (outcome) =>
      this.#onAnswer(session, batch, outcome),
    );
    // Without an answer it may have got lost, or its answer.
    world.after(world.random.between(400, 1500), () => {
      if (batch.sendCount === sendCount) this.#again(session, batch);
    });
  }

  #onAnswer(session: Session, batch: SessionBatch, outcome: AppendOutcome): void {
    const world = this.#world;
    if (!this.#isOpen(session, batch)) return;
    if (outcome.ok) {
      session.open.delete(batch.firstSequence);
      if (world.random.chance(0.2)) world.after(world.random.between(1, 2000), () => this.#repeat(session, batch));
      return;
    }
    const { reason, metadata } = outcome.error;
    // What overtook the first batch of a session is refused as unknown, and only early.
    const isEarly = reason === 'UNKNOWN_PRODUCER' && batch.firstSequence > 0 && session.open.has(0);
    if (ENDS_SESSION.has(reason) && !isEarly) {
      world.tally.add(`producer sessions ended by ${reason}`);
      this.#sessions.delete(session.partition);
      if (reason === 'PRODUCER_EXPIRED') this.#begin(session.partition, Number(metadata['leader_time_ms']));
      return;
    }
    const { sendCount } = batch;
    world.after(world.random.between(50, 500), () => {
      if (batch.sendCount === sendCount) this.#again(session, batch);
    });
  }

  #again(session: Session, batch: SessionBatch): void {
    if (this.#world.clients.isQuiet || !this.#isOpen(session, batch)) return;
    if (batch.sendCount > RESENDS_MAX) this.#sessions.delete(session.partition);
    else this.#try(session, batch);
  }

  /** A copy that was under way for long, of a batch that is known to be stored. */
  #repeat({ partition }: Session, { content, acks }: SessionBatch): void {
    if (this.#world.clients.isQuiet) return;
    this.#send({ partition, acks, appendId: content.appendId }, encodeAppend(content), () => {});
  }

  #isOpen(session: Session, batch: SessionBatch): boolean {
    return this.#sessions.get(session.partition) === session && session.open.get(batch.firstSequence) === batch;
  }
}
