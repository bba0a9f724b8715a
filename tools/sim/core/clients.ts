/** Programs that append, now to the leader and now to another, and resend what was refused. */
import type { AppendOutcome } from '@partita/replication';
import { NODE_COUNT } from './network.ts';
import type { Replica } from './replica.ts';
import { encodeAppend } from './simulated-log.ts';
import type { World } from './world.ts';

const RESENDS_MAX = 2;
/** Clients are outside: their way to brokers is never cut. */
const CLIENT_NODE = NODE_COUNT - 3;

interface Request {
  readonly partition: number;
  readonly acks: 'all' | 'leader';
  readonly resends: number;
}

export class Clients {
  readonly #world: World;
  /** No more appends, but for probes. */
  isQuiet = false;
  #appendIds = 0;

  constructor(world: World) {
    this.#world = world;
  }

  start(): void {
    const { plan, random } = this.#world;
    const gapMs = plan.appendEveryMs * (0.2 + (1.6 * random.word()) / 2 ** 32);
    this.#world.after(gapMs, () => {
      if (this.isQuiet) return;
      const partition = random.below(plan.partitionCount);
      const acks = random.chance(plan.acksLeader) ? 'leader' : 'all';
      const count = random.chance(0.1) ? random.between(2, 6) : 1;
      for (let sent = 0; sent < count; sent += 1) this.#append({ partition, acks, resends: 0 }, this.#guess(partition));
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
    this.#appendIds += 1;
    const appendId = this.#appendIds;
    // Without producer sessions a repeated append would be another one.
    let isTaken = false;
    world.network.send(CLIENT_NODE, broker, () => {
      const replica = broker.replicas[partition];
      if (replica === undefined || isTaken) return;
      isTaken = true;
      this.#feed(replica, request, appendId, (outcome) => {
        world.oracle(partition).answers(replica, appendId, acks, outcome);
        world.after(world.network.delayMs(), () => done(outcome));
      });
    });
  }

  #feed(replica: Replica, request: Request, appendId: number, reply: (outcome: AppendOutcome) => void): void {
    const { random, nowMs, brokers } = this.#world;
    const recordCount = random.between(1, 3);
    const { leaderEpoch, expectedNextOffset } = this.#conditions(replica);
    const batch = encodeAppend(appendId, recordCount);
    let isHeld = false;
    replica.feed({
      kind: 'append',
      batch,
      recordCount,
      acks: request.acks,
      leaderEpoch,
      expectedNextOffset,
      claimEpoch: 0,
      claim: undefined,
      wallMs: nowMs + (brokers[replica.state.self.brokerId - 1]?.wallOffsetMs ?? 0),
      deadlineMs: nowMs + random.pick([100, 500, 3000]),
      reply: (outcome) => {
        if (isHeld && outcome.ok) this.#world.tally.add('seen: held append released');
        if (outcome.ok && request.acks === 'all')
          this.#world.tally.add('milliseconds until acknowledged, acks=all', this.#world.nowMs - nowMs);
        reply(outcome);
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
