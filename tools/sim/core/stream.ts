/**
 * The replication stream of a follower's broker to a leader's: both ways in order while it lives. A cut or a lost packet makes
 * it deaf in one direction until somebody notices: each end finds out by itself, at another time, and what was on its way
 * is gone.
 */
import { REPLICATION_SILENCE_MS_MAX } from '@partita/domain';
import type { SenderStream } from '@partita/replication';
import type { Broker } from './broker.ts';
import type { StoredBatch } from './stored-batch.ts';
import type { World } from './world.ts';

/** Which end: the follower's dials, the leader's pushes. */
export type End = 'follower' | 'leader';

interface EndState {
  readonly broker: Broker;
  readonly life: number;
  isOpen: boolean;
  /** What this end sends does not arrive any more. */
  isDeaf: boolean;
  /** When the last message of this end arrives or did. */
  lastArrivalMs: number;
  heardMs: number;
}

export class Stream {
  readonly #world: World;
  readonly #ends: Readonly<Record<End, EndState>>;
  /** Appends sent and not arrived. */
  #outstanding = 0;

  constructor(world: World, follower: Broker, leader: Broker) {
    this.#world = world;
    const end = (broker: Broker): EndState => ({
      broker,
      life: broker.life,
      isOpen: true,
      isDeaf: false,
      lastArrivalMs: 0,
      heardMs: world.nowMs,
    });
    this.#ends = { follower: end(follower), leader: end(leader) };
  }

  get leaderId(): number {
    return this.#ends.leader.broker.node;
  }

  get followerId(): number {
    return this.#ends.follower.broker.node;
  }

  isOpenAt(end: End): boolean {
    const { broker, life, isOpen } = this.#ends[end];
    return isOpen && broker.life === life;
  }

  /** Sends from one end; `deliver` is called at the other, if it still listens. */
  send(from: End, deliver: () => void): void {
    const own = this.#ends[from];
    const to = otherEnd(from);
    const other = this.#ends[to];
    const world = this.#world;
    if (!own.isOpen || own.isDeaf) return;
    const { network } = world;
    if (!network.isOpen(own.broker.node, other.broker.node)) {
      own.isDeaf = true;
      return;
    }
    const arrivalMs = Math.max(world.nowMs + network.delayMs(), own.lastArrivalMs);
    own.lastArrivalMs = arrivalMs;
    world.after(arrivalMs - world.nowMs, () => {
      if (own.isDeaf || other.broker.life !== other.life) return;
      world.hand(other.broker, () => {
        if (!this.isOpenAt(to)) return;
        other.heardMs = world.nowMs;
        deliver();
      });
    });
  }

  /** Heartbeats, without an event for each: hears the other end if it could be heard, gives it up after long silence. */
  listen(at: End): void {
    const own = this.#ends[at];
    const other = this.#ends[otherEnd(at)];
    if (!own.isOpen) return;
    const isHeard =
      this.isOpenAt(otherEnd(at)) &&
      !other.isDeaf &&
      !other.broker.isPaused &&
      this.#world.network.isOpen(other.broker.node, own.broker.node);
    if (isHeard) own.heardMs = this.#world.nowMs;
    if (this.#world.nowMs - own.heardMs > REPLICATION_SILENCE_MS_MAX) this.breakAt(at);
  }

  /** This end gives it up. The other one is told by the connection, unless nothing gets through. */
  breakAt(end: End): void {
    const own = this.#ends[end];
    if (!own.isOpen) return;
    own.isOpen = false;
    this.#world.tally.add('streams broken');
    const to = otherEnd(end);
    if (own.broker.life === own.life) own.broker.links.lost(this, end);
    this.resetTo(to);
  }

  /** The other process is gone, or has closed: its kernel says so, if the way is open. */
  resetTo(end: End): void {
    const own = this.#ends[end];
    const other = this.#ends[otherEnd(end)];
    const { network } = this.#world;
    if (!network.isOpen(other.broker.node, own.broker.node) || this.#world.random.chance(0.2)) return;
    const delayMs = Math.max(network.delayMs(), other.lastArrivalMs - this.#world.nowMs);
    this.#world.afterOf(own.broker, delayMs, () => {
      if (own.broker.life === own.life) this.breakAt(end);
    });
  }

  senderStream(partition: number, nonce: string): SenderStream<readonly StoredBatch[]> {
    const follower = this.#ends.follower.broker;
    const canSend = () => this.#outstanding < this.#world.plan.streamWindow;
    return {
      get canSend() {
        return canSend();
      },
      append: ({ batches, ...message }) => {
        this.#outstanding += 1;
        this.send('leader', () => {
          this.#arrived(partition);
          follower.feed(partition, { kind: 'replicate', ...message, batches: batches?.content ?? [] });
        });
      },
      snapshot: ({ nonce: ofJoin, baseOffset, content }) =>
        this.send('leader', () => follower.feed(partition, { kind: 'snapshot', nonce: ofJoin, baseOffset, content })),
      fail: () => this.send('leader', () => follower.feed(partition, { kind: 'join-refused', nonce })),
    };
  }

  /** There is room again: whoever stopped for want of it goes on. */
  #arrived(partition: number): void {
    const wasFull = this.#outstanding >= this.#world.plan.streamWindow;
    this.#outstanding -= 1;
    const { broker } = this.#ends.leader;
    if (wasFull) this.#world.afterOf(broker, this.#world.network.delayMs(), () => broker.pump(partition));
  }
}

function otherEnd(end: End): End {
  return end === 'follower' ? 'leader' : 'follower';
}
