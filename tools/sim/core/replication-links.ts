/** The replication streams of a broker: those that it dialled as a follower, those that it accepted as a leader. */
import type { LeaderLinkPort } from '@partita/replication';
import type { Broker } from './broker.ts';
import type { Replica } from './replica.ts';
import { Stream } from './stream.ts';
import type { End } from './stream.ts';
import type { World } from './world.ts';

type Seek = Parameters<LeaderLinkPort['seek']>[0];
type Join = Parameters<LeaderLinkPort['join']>[0];

export class ReplicationLinks {
  /** Streams that it dialled, by the leader's broker. */
  readonly #dialled = new Map<number, Stream>();
  readonly #accepted = new Set<Stream>();
  /** Leaders that are being dialled, with what is sought there by partition. */
  readonly #dialling = new Map<number, Map<number, Seek>>();
  readonly #world: World;
  readonly #broker: Broker;

  constructor(world: World, broker: Broker) {
    this.#world = world;
    this.#broker = broker;
  }

  /** The process is gone: the other ends are told where something gets through. */
  reset(): void {
    for (const stream of this.#dialled.values()) stream.resetTo('leader');
    for (const stream of this.#accepted) stream.resetTo('follower');
    this.#dialled.clear();
    this.#accepted.clear();
    this.#dialling.clear();
  }

  /** Gives up what has been silent for too long. */
  listen(): void {
    for (const stream of [...this.#dialled.values()]) stream.listen('follower');
    for (const stream of [...this.#accepted]) stream.listen('leader');
  }

  /** Breaks one of its streams, if it has any. */
  breakSome(): void {
    const { random } = this.#world;
    const streams: [Stream, End][] = [
      ...[...this.#dialled.values()].map((stream): [Stream, End] => [stream, 'follower']),
      ...[...this.#accepted].map((stream): [Stream, End] => [stream, 'leader']),
    ];
    if (streams.length === 0) return;
    const [stream, end] = random.pick(streams);
    stream.breakAt(end);
  }

  /** One of its streams is over, at this end. */
  lost(stream: Stream, end: End): void {
    if (end === 'follower') {
      if (this.#dialled.get(stream.leaderId) === stream) this.#dialled.delete(stream.leaderId);
      for (const replica of this.#broker.replicas) replica.feed({ kind: 'link-lost', leaderId: stream.leaderId });
      return;
    }
    this.#accepted.delete(stream);
    const brokerId = stream.followerId;
    for (const replica of this.#broker.replicas) {
      for (const [nonce, joined] of replica.joins) {
        if (joined !== stream) continue;
        replica.joins.delete(nonce);
        replica.feed({ kind: 'follower-lost', brokerId, nonce });
      }
    }
  }

  portOf(partition: number): LeaderLinkPort {
    return {
      seek: (order) => this.#seek(partition, order),
      join: (message) => this.#join(partition, message),
      ack: ({ leaderId, epoch, nonce, durableEnd, fsynced }) => {
        const replica = this.#broker.replica(partition);
        if (replica !== undefined) this.#world.oracle(partition).acks(replica.disk, epoch, durableEnd);
        const brokerId = this.#broker.node;
        this.#toLeader(partition, leaderId, (leader) => {
          leader.feed({ kind: 'follower-ack', epoch, brokerId, nonce, durableEnd, fsynced });
          const served = leader.senders.get(brokerId);
          served?.sender.acked(durableEnd);
        });
      },
      fenced: ({ leaderId, promisedEpoch }) => {
        if (!this.#dialled.has(leaderId)) this.#dial(leaderId);
        this.#toLeader(partition, leaderId, (leader) => {
          if (leader.leaderRole !== undefined && promisedEpoch > leader.leaderRole.epoch)
            this.#world.tally.add('seen: fenced leader');
          leader.feed({ kind: 'fenced', promisedEpoch });
        });
      },
    };
  }

  #toLeader(partition: number, leaderId: number, deliver: (leader: Replica) => void): void {
    const stream = this.#dialled.get(leaderId);
    stream?.send('follower', () => {
      const leader = this.#world.broker(leaderId).replica(partition);
      if (leader !== undefined) deliver(leader);
    });
  }

  #seek(partition: number, order: Seek): void {
    const { leaderId, epoch } = order;
    if (this.#dialled.get(leaderId)?.isOpenAt('follower') === true) {
      this.#broker.feed(partition, { kind: 'link-open', leaderId, epoch, nonce: this.#world.freshNonce() });
      return;
    }
    this.#dial(leaderId).set(partition, order);
  }

  /** What is sought at the leader once the stream is there. */
  #dial(leaderId: number): Map<number, Seek> {
    const under = this.#dialling.get(leaderId);
    if (under !== undefined) return under;
    const sought = new Map<number, Seek>();
    this.#dialling.set(leaderId, sought);
    const { network } = this.#world;
    this.#world.afterOf(this.#broker, network.delayMs() + network.delayMs(), () => this.#dialledAt(leaderId));
    return sought;
  }

  #dialledAt(leaderId: number): void {
    const sought = this.#dialling.get(leaderId);
    this.#dialling.delete(leaderId);
    const { network } = this.#world;
    const leader = this.#world.broker(leaderId);
    const isReached = network.isOpen(this.#broker.node, leaderId) && network.isOpen(leaderId, this.#broker.node);
    if (sought === undefined || !isReached || !leader.isUp) return;
    const stream = new Stream(this.#world, this.#broker, leader);
    this.#dialled.set(leaderId, stream);
    leader.links.#accepted.add(stream);
    for (const [partition, { epoch }] of sought)
      this.#broker.feed(partition, { kind: 'link-open', leaderId, epoch, nonce: this.#world.freshNonce() });
  }

  #join(partition: number, message: Join): void {
    const { leaderId, epoch, nonce, history, logEnd, configFloor } = message;
    const stream = this.#dialled.get(leaderId);
    const replicaId = this.#broker.disks[partition]?.identity.replicaId ?? '';
    const brokerId = this.#broker.node;
    this.#toLeader(partition, leaderId, (leader) => {
      if (stream === undefined) return;
      leader.feed({
        kind: 'join',
        ...{ epoch, brokerId, replicaId, nonce, history, logEnd, configFloor },
        reply: ({ joined, ...outcome }) => {
          if (!joined) {
            stream.send('leader', () => this.#broker.feed(partition, { kind: 'join-refused', nonce }));
            return;
          }
          leader.joins.set(nonce, stream);
          if (this.#world.plan.changes !== undefined && logEnd === 0n && leader.state.highWatermark > 1n)
            this.#world.tally.add('seen: blank replica joined');
          const known = history.at(-1)?.epoch ?? 0;
          if (outcome.epoch - known >= 3 && known > 0) this.#world.tally.add('seen: join across 3 epochs');
          if (outcome.truncateTo < logEnd) this.#world.tally.add('seen: truncation of uncommitted records');
          stream.send('leader', () => this.#broker.feed(partition, { kind: 'join-ack', nonce, ...outcome }));
          leader.serve(brokerId, nonce, stream).begin({ joined, ...outcome });
        },
      });
    });
  }
}
