/** Sessions of consumer-group instances as a coordinator keeps them, and its hints about group shards. */
import type { InstanceQuotas, InstanceSessionRequest, InstanceSessionResponse, ShardHint } from '@partita/protocol';
import type { BidiHandlers, ServerBidiStream } from '@partita/rpc/server';

export interface FakeInstance {
  readonly id: string;
  readonly address: string;
  draining: boolean;
}

export class FakeSessions {
  readonly shardCount: number;
  readonly #clusterId: string;
  readonly #sessions = new Map<FakeInstance, ServerBidiStream<InstanceSessionResponse>>();
  /** Which of the instances, newest last, shall have a shard. Default: the newest that does not drain has all. */
  place = (_shard: number, instances: readonly FakeInstance[]): FakeInstance | undefined =>
    instances.findLast(({ draining }) => !draining) ?? instances.at(-1);
  /** What an instance is told instead; for instances that believe different things. */
  told: ((instance: FakeInstance, shards: readonly ShardHint[]) => ShardHint[]) | undefined;

  constructor(clusterId: string, shardCount: number) {
    this.#clusterId = clusterId;
    this.shardCount = shardCount;
  }

  open(stream: ServerBidiStream<InstanceSessionResponse>): BidiHandlers<InstanceSessionRequest> {
    let instance: FakeInstance | undefined;
    stream.onClose(() => {
      if (instance !== undefined) this.#sessions.delete(instance);
      this.tell();
    });
    return {
      onMessage: ({ message }) => {
        if (message?.$case === 'register') {
          const { instanceId, address } = message.register;
          instance = { id: instanceId, address, draining: false };
          this.#sessions.set(instance, stream);
          const accepted = { clusterId: this.#clusterId, coordinatorRunId: 'run', heartbeatMs: 1000, active: true };
          stream.send({ message: { $case: 'accepted', accepted } });
          this.tell();
        } else if (message?.$case === 'heartbeat' && instance?.draining === false && message.heartbeat.draining) {
          instance.draining = true;
          this.tell();
        }
      },
    };
  }

  tellQuotas(quotas: InstanceQuotas): void {
    for (const stream of this.#sessions.values()) stream.send({ message: { $case: 'quotas', quotas } });
  }

  /** Tells every instance which shards are whose. */
  tell(): void {
    const instances = [...this.#sessions.keys()];
    const shards = Array.from({ length: this.shardCount }, (_, shard) => {
      const owner = this.place(shard, instances);
      return { shard, instanceId: owner?.id ?? '', address: owner?.address ?? '' };
    });
    for (const [instance, stream] of this.#sessions) {
      const told = this.told?.(instance, shards) ?? shards;
      stream.send({ message: { $case: 'shards', shards: { shardCount: this.shardCount, shards: told } } });
    }
  }
}
