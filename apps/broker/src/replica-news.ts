/**
 * What becomes of the replicas of this broker: their roles and whether they are trusted as log lines, and the catching up
 * of one that was behind as a trace, made when it is done.
 */
import { partitionKey } from '@partita/domain';
import type { ReplicaChange } from '@partita/replication';
import { beginOperation } from '@partita/rpc';
import type { TracingMode } from '@partita/rpc';
import type { StateLines } from '@partita/runtime';
import type { PartitionActor } from './partition-actor.ts';

/** What is looked at of a replica. */
export type NewsActor = Pick<PartitionActor, 'topicId' | 'partition' | 'topic' | 'state'>;

/** As last told. */
interface Told {
  readonly role: string;
  readonly isSuspect: boolean;
}

/** From the joining of a leader's stream until the replica has what that leader has committed. */
interface CatchUp {
  readonly sinceMs: number;
  readonly fromOffset: bigint;
  readonly leaderId: number;
  /** True once the leader was seen to have committed more than is here. */
  isBehind: boolean;
}

/** Who is there sooner was not behind: under load any replica is a moment away. */
const CATCH_UP_MS_MIN = 100;

export class ReplicaNews {
  readonly #lines: StateLines;
  readonly #tracing: TracingMode;
  readonly #brokerId: number;
  readonly #told = new Map<string, Told>();
  /** Replicas that follow and have not been seen to have everything. */
  readonly #catchingUp = new Map<string, CatchUp>();

  constructor(lines: StateLines, tracing: TracingMode, brokerId: number) {
    this.#lines = lines;
    this.#tracing = tracing;
    this.#brokerId = brokerId;
  }

  /** Called for every change, watermarks included. */
  changed(actor: NewsActor, what: ReplicaChange): void {
    if (what === 'role' || what === 'followed') {
      this.#tell(actor);
      if (this.#tracing !== 'off') this.#follow(actor);
    } else if (what === 'high-watermark' && this.#catchingUp.size > 0) this.#progress(actor);
  }

  stop(): void {
    this.#catchingUp.clear();
    this.#lines.flush();
  }

  #tell(actor: NewsActor): void {
    const key = partitionKey(actor);
    const before = this.#told.get(key) ?? { role: '', isSuspect: false };
    const { role, following, meta } = actor.state;
    const isSuspect = meta.suspect;
    const place = { topic: actor.topic.config.topic, partition: actor.partition };
    let now = before.role;
    if (role.kind === 'leader') {
      now = `leads ${role.epoch}`;
      if (now !== before.role) this.#lines.write('replica leads', { ...place, epoch: role.epoch });
    } else if (role.kind === 'follower' && following?.phase === 'live') {
      now = `follows ${following.epoch}`;
      const fields = { ...place, epoch: following.epoch, leader: following.leaderId };
      if (now !== before.role) this.#lines.write('replica follows', fields);
    }
    if (isSuspect !== before.isSuspect)
      this.#lines.write(isSuspect ? 'replica is suspect' : 'replica is whole again', {
        ...place,
        epoch: meta.promisedEpoch,
      });
    this.#told.set(key, { role: now, isSuspect });
  }

  #follow(actor: NewsActor): void {
    const key = partitionKey(actor);
    const { following, durableEnd } = actor.state;
    if (following?.phase !== 'live') {
      const lost = this.#catchingUp.get(key);
      this.#catchingUp.delete(key);
      if (lost?.isBehind === true) this.#trace(actor, lost, 'the stream to the leader was lost on the way');
      return;
    }
    if (this.#catchingUp.has(key)) return;
    const { leaderId } = following;
    this.#catchingUp.set(key, { sinceMs: performance.now(), fromOffset: durableEnd, leaderId, isBehind: false });
  }

  #progress(actor: NewsActor): void {
    const key = partitionKey(actor);
    const catchUp = this.#catchingUp.get(key);
    const { following, highWatermark } = actor.state;
    if (catchUp === undefined || following === undefined) return;
    if (highWatermark < following.leaderHighWatermark) {
      catchUp.isBehind = true;
      return;
    }
    this.#catchingUp.delete(key);
    if (catchUp.isBehind) this.#trace(actor, catchUp, undefined);
  }

  #trace(actor: NewsActor, { sinceMs, fromOffset, leaderId }: CatchUp, failure: string | undefined): void {
    if (performance.now() - sinceMs < CATCH_UP_MS_MIN) return;
    const { topic, partition, state } = actor;
    const operation = beginOperation(this.#tracing, 'catch_up', `catch up ${topic.config.topic}`, {
      startMs: sinceMs,
      attributes: {
        'messaging.system': 'partita',
        'messaging.destination.name': topic.config.topic,
        'messaging.destination.partition.id': String(partition),
        'partita.broker.id': this.#brokerId,
        'partita.leader.id': leaderId,
        'partita.record_count': Number(state.durableEnd - fromOffset),
      },
    });
    if (failure !== undefined) operation.fail(new Error(failure));
    operation.end();
  }
}
