/** Programs that append, now to the leader and now to another, and resend what was refused. */
import type { AppendOutcome } from '@partita/replication';
import { NODE_COUNT } from './network.ts';
import type { Replica } from './replica.ts';
import { decodeAppend, encodeAppend } from './append-bytes.ts';
import { RequestClients } from './request-clients.ts';
import { SessionClients } from './session-clients.ts';
import type { SendAppend } from './session-clients.ts';
import type { World } from './world.ts';

const RESENDS_MAX = 2;
/** Of what is sent so that it can be repeated: what comes without a session, with an id of its own. */
const REQUEST_SHARE = 0.3;
/** Clients are outside: their way to brokers is never cut. */
const CLIENT_NODE = NODE_COUNT - 3;

interface Request {
  readonly partition: number;
  readonly acks: 'all' | 'leader';
  readonly resends: number;
}

/** One append, all copies of which hold the same. */
interface Sent {
  readonly partition: number;
  readonly acks: 'all' | 'leader';
  readonly appendId: number;
}

export class Clients {
  readonly #world: World;
  /** No more appends, but for probes. */
  isQuiet = false;
  #appendIds = 0;
  readonly #sessions: SessionClients;
  readonly #requests: RequestClients;

  constructor(world: World) {
    this.#world = world;
    const send: SendAppend = (sent, batch, done) => this.#sendOfSession(sent, batch, done);
    const freshAppendId = () => this.#freshAppendId();
    this.#sessions = new SessionClients(world, send, freshAppendId);
    this.#requests = new RequestClients(world, send, freshAppendId);
  }

  start(): void {
    const { plan, random } = this.#world;
    const gapMs = plan.appendEveryMs * (0.2 + (1.6 * random.word()) / 2 ** 32);
    this.#world.after(gapMs, () => {
      if (this.isQuiet) return;
      const partition = random.below(plan.partitionCount);
      const acks = random.chance(plan.acksLeader) ? 'leader' : 'all';
      const count = random.chance(0.1) ? random.between(2, 6) : 1;
      const isSession = random.chance(plan.sessionShare);
      const isRequest = isSession && random.chance(REQUEST_SHARE);
      for (let sent = 0; sent < count; sent += 1) {
        if (isRequest) this.#requests.append(partition, acks);
        else if (isSession) this.#sessions.append(partition, acks);
        else this.#append({ partition, acks, resends: 0 }, this.#guess(partition));
      }
      this.start();
    });
  }

  /** One append with acks=all to the broker; `done` hears whether it was acknowledged. */
  probe(partition: number, brokerId: number, done: (isAcked: boolean) => void): void {
    this.#send({ partition, acks: 'all', resends: RESENDS_MAX }, brokerId, ({ ok }) => done(ok));
  }

  #append(request: Request, brokerId: number): void {
    this.#send(request, brokerId, (outcome) => {
      if (outcome.ok || request.resends >= RESENDS_MAX || this.isQuiet) return;
      const { random } = this.#world;
      const again = { ...request, resends: request.resends + 1 };
      this.#world.after(random.between(10, 300), () => this.#append(again, this.#guess(request.partition)));
    });
  }

  #send(request: Request, brokerId: number, done: (outcome: AppendOutcome) => void): void {
    const world = this.#world;
    const { partition, acks } = request;
    const broker = world.broker(brokerId);
    const appendId = this.#freshAppendId();
    const content = { appendId, recordCount: world.random.between(1, 3), producer: undefined };
    // Without a producer session a repeated append would be another one.
    let isTaken = false;
    world.network.send(CLIENT_NODE, broker, () => {
      const replica = broker.replica(partition);
      if (replica === undefined || isTaken) return;
      isTaken = true;
      this.#feed(replica, { partition, acks, appendId }, encodeAppend(content), done);
    });
  }

  /** Every copy that arrives is an attempt of its own, and answered. */
  #sendOfSession(sent: Sent, batch: Uint8Array, done: (outcome: AppendOutcome) => void): void {
    const world = this.#world;
    const broker = world.broker(this.#guess(sent.partition));
    world.network.send(CLIENT_NODE, broker, () => {
      const replica = broker.replica(sent.partition);
      if (replica === undefined) return;
      world.oracle(sent.partition).sessions.delivered(sent.appendId);
      this.#feed(replica, sent, batch.slice(), done);
    });
  }

  #freshAppendId(): number {
    this.#appendIds += 1;
    return this.#appendIds;
  }

  #feed(replica: Replica, sent: Sent, batch: Uint8Array, done: (outcome: AppendOutcome) => void): void {
    const world = this.#world;
    const { random, nowMs, brokers } = world;
    const { acks, partition } = sent;
    const { recordCount, producer } = decodeAppend(batch);
    const { leaderEpoch, expectedNextOffset } = this.#conditions(replica);
    let isHeld = false;
    replica.feed({
      kind: 'append',
      batch,
      recordCount,
      acks,
      leaderEpoch,
      expectedNextOffset,
      claimEpoch: 0,
      claim: undefined,
      producer,
      wallMs: nowMs + (brokers[replica.state.self.brokerId - 1]?.wallOffsetMs ?? 0),
      deadlineMs: nowMs + random.pick([100, 500, 3000]),
      reply: (outcome) => {
        if (isHeld && outcome.ok) world.tally.add('seen: held append released');
        if (outcome.ok && acks === 'all')
          world.tally.add('milliseconds until acknowledged, acks=all', world.nowMs - nowMs);
        if (outcome.ok && outcome.duplicate && world.nowMs > nowMs)
          world.tally.add('seen: duplicate waited for its original');
        world.oracle(partition).answers(replica, { ...sent, producer }, outcome);
        world.after(world.network.delayMs(), () => done(outcome));
      },
    });
    isHeld = replica.leaderRole?.held?.some((input) => input.batch === batch) === true;
  }

  #conditions({ state }: Replica): { readonly leaderEpoch: number; readonly expectedNextOffset: bigint | undefined } {
    const { random } = this.#world;
    const leaderEpoch = random.chance(0.05) ? state.meta.promisedEpoch + random.below(2) : 0;
    if (!random.chance(0.1)) return { leaderEpoch, expectedNextOffset: undefined };
    return { leaderEpoch, expectedNextOffset: state.dataEnd - BigInt(random.below(2)) };
  }

  /** Whom some broker believes to lead; now and then anybody. */
  #guess(partition: number): number {
    const { random, brokers } = this.#world;
    const told = random.pick(brokers).session.leaderOf(partition);
    if (told === undefined || random.chance(0.05)) return random.pick(brokers).node;
    return told.leaderId;
  }
}
