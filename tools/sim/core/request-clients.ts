/**
 * Programs without a producer session that give each request an id: they repeat it through any gateway, so that no two copies
 * need to have the same bytes, until it is known to be stored; and some once more after that, soon or late, and a few with
 * another number of records, which is a mistake.
 */
import { REQUEST_EXPIRY_MS, REQUEST_PRODUCER_EPOCH } from '@partita/domain';
import type { AppendOutcome } from '@partita/replication';
import { encodeAppend, sequenceOf } from './append-bytes.ts';
import type { SendAppend } from './session-clients.ts';
import type { World } from './world.ts';

const RESENDS_MAX = 8;
const BUILD_COUNT = 3;
/** Wall clock at the beginning of the world. */
const EPOCH_MS = 1_000_000;

interface Request {
  readonly partition: number;
  readonly acks: 'all' | 'leader';
  readonly requestId: string;
  readonly appendId: number;
  readonly recordCount: number;
  sendCount: number;
  /** Stored, as far as its client knows, or given up. */
  isOver: boolean;
}

/** What becomes of them is the oracle's matter; here they only go on until they know. */
export class RequestClients {
  readonly #world: World;
  readonly #send: SendAppend;
  readonly #freshAppendId: () => number;
  /** By partition: how far its leader's clock is ahead, as far as clients were told. */
  readonly #aheadMs = new Map<number, number>();
  #requestCount = 0;

  constructor(world: World, send: SendAppend, freshAppendId: () => number) {
    this.#world = world;
    this.#send = send;
    this.#freshAppendId = freshAppendId;
  }

  append(partition: number, acks: 'all' | 'leader'): void {
    const { random, nowMs, tally } = this.#world;
    this.#requestCount += 1;
    // Clocks of clients differ, and now and then by more than is taken.
    const offMs = random.between(-1, 1) * random.pick([0, 1000, REQUEST_EXPIRY_MS / 3, REQUEST_EXPIRY_MS]);
    const idTimeMs = Math.max(0, Math.floor(nowMs + EPOCH_MS + (this.#aheadMs.get(partition) ?? 0) + offMs));
    const request: Request = {
      partition,
      acks,
      requestId: `${idTimeMs.toString(16).padStart(12, '0')}70009${String(this.#requestCount).padStart(15, '0')}`,
      appendId: this.#freshAppendId(),
      recordCount: random.between(1, 3),
      sendCount: 0,
      isOver: false,
    };
    tally.add('requests with an id');
    this.#try(request);
  }

  #try(request: Request): void {
    const world = this.#world;
    request.sendCount += 1;
    const { sendCount } = request;
    this.#copy(request, (outcome) => this.#onAnswer(request, outcome));
    // Without an answer it may have got lost, or its answer.
    world.after(world.random.between(300, 1500), () => this.#again(request, sendCount));
  }

  #copy({ partition, acks, requestId, appendId, recordCount }: Request, done: (outcome: AppendOutcome) => void): void {
    const build = this.#world.random.below(BUILD_COUNT);
    const batch = { appendId, firstSequence: 0, recordCount };
    const producer = sequenceOf(requestId, REQUEST_PRODUCER_EPOCH, batch, build);
    this.#send({ partition, acks, appendId }, encodeAppend({ appendId, recordCount, producer }), done);
  }

  #onAnswer(request: Request, outcome: AppendOutcome): void {
    const world = this.#world;
    if (request.isOver) return;
    if (outcome.ok) {
      request.isOver = true;
      this.#repeatLater(request);
      return;
    }
    const { reason, metadata } = outcome.error;
    const { sendCount } = request;
    if (reason !== 'PRODUCER_EXPIRED') {
      world.after(world.random.between(50, 500), () => this.#again(request, sendCount));
      return;
    }
    request.isOver = true;
    world.tally.add(sendCount > 1 ? 'seen: request outlived its time' : 'seen: request of a wrong time refused');
    this.#aheadMs.set(request.partition, Number(metadata['leader_time_ms']) - EPOCH_MS - world.nowMs);
  }

  #again(request: Request, sendCount: number): void {
    if (this.#world.clients.isQuiet || request.isOver || request.sendCount !== sendCount) return;
    if (sendCount <= RESENDS_MAX) this.#try(request);
  }

  #repeatLater(request: Request): void {
    const { random } = this.#world;
    if (random.chance(0.5)) this.#world.after(random.between(1, 4000), () => this.#repeat(request));
  }

  /** A copy of a request that is known to be stored, or by mistake another request of its id. */
  #repeat(request: Request): void {
    const { clients, random, tally } = this.#world;
    if (clients.isQuiet) return;
    const isMistake = random.chance(0.2);
    const { recordCount } = request;
    const sent = isMistake ? { ...request, appendId: this.#freshAppendId(), recordCount: recordCount + 1 } : request;
    this.#copy(sent, (outcome) => {
      this.#repeatLater(request);
      if (!outcome.ok) tally.add(`seen: ${isMistake ? 'mistaken' : 'stored'} request refused: ${outcome.error.reason}`);
    });
  }
}
