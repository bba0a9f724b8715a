/**
 * Sessions of gateways and consumer-group instances. Whoever has one is an endpoint of the cluster; consumer-group instances
 * are also given the shards of `__groups`. All hear of the quotas, also from standbys: the highest version holds.
 */
import type { InstanceFacts } from '@partita/cluster';
import { HEARTBEAT_MS, isUuid, PartitaError, SESSION_SILENCE_MS_MAX } from '@partita/domain';
import type { Clock } from '@partita/domain';
import { InstanceSessionServiceService, ServiceKind } from '@partita/protocol';
import type {
  InstanceHeartbeat,
  InstanceRegister,
  InstanceSessionRequest,
  InstanceSessionResponse,
  ShardAssignment,
} from '@partita/protocol';
import { quotaMessage } from '@partita/rpc';
import { bidi, implement } from '@partita/rpc/server';
import type { BidiHandlers, CallContext, Implementation, ServerBidiStream } from '@partita/rpc/server';
import type { Logger } from '@partita/runtime';
import type { ClusterModel } from '../cluster-model.ts';
import type { Lease } from '../directory/lease.ts';
import { checkPeer, endWhenDraining } from './session-rules.ts';

export interface InstanceSessionsOptions {
  readonly clusterId: string;
  readonly runId: string;
  readonly model: ClusterModel;
  readonly lease: Lease;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Undefined while this coordinator does not assign shards. */
  readonly shards: () => ShardAssignment | undefined;
  /** An instance says that it owns these shards now. */
  readonly onOwned: (instanceId: string, shards: readonly number[]) => void;
}

type Stream = ServerBidiStream<InstanceSessionResponse>;

interface Session {
  readonly stream: Stream;
  instance: InstanceFacts;
  heardAtMs: number;
}

export class InstanceSessions {
  readonly #options: InstanceSessionsOptions;
  readonly #sessions = new Map<string, Session>();

  constructor(options: InstanceSessionsOptions) {
    this.#options = options;
    options.model.onChange(({ settings }) => {
      if (settings) for (const { stream } of this.#sessions.values()) this.#sendQuotasTo(stream);
    });
  }

  service(): Implementation<InstanceSessionServiceService> {
    return implement(InstanceSessionServiceService, {
      instanceSession: bidi((stream, context) => this.#open(stream, context)),
    });
  }

  /** Heartbeats to instances, and a look at who has gone silent. Called each BROKER_HEARTBEAT_MS. */
  tick(): void {
    const nowMs = this.#options.clock.monotonicMs();
    const active = this.#options.lease.mayOrder();
    for (const session of [...this.#sessions.values()]) {
      if (nowMs - session.heardAtMs > SESSION_SILENCE_MS_MAX)
        this.#end(session, `nothing heard for ${SESSION_SILENCE_MS_MAX} ms`);
      else session.stream.send({ message: { $case: 'heartbeat', heartbeat: { active } } });
    }
  }

  /** Tells every instance which shards are whose. */
  sendShards(): void {
    for (const { stream } of this.#sessions.values()) this.#sendShardsTo(stream);
  }

  #sendShardsTo(stream: Stream): void {
    const shards = this.#options.shards();
    if (shards !== undefined) stream.send({ message: { $case: 'shards', shards } });
  }

  #sendQuotasTo(stream: Stream): void {
    const { version, quotas } = this.#options.model.state.settings();
    if (version === 0n) return;
    stream.send({ message: { $case: 'quotas', quotas: { version, quotas: quotas.map(quotaMessage) } } });
  }

  #open(stream: Stream, context: CallContext): BidiHandlers<InstanceSessionRequest> {
    let session: Session | undefined;
    endWhenDraining(stream, context);
    return {
      onMessage: ({ message }) => {
        if (session === undefined) {
          if (message?.$case !== 'register')
            throw new PartitaError('STREAM_ORDER', 'the first message of an instance session is `register`');
          session = this.#register(stream, message.register);
          return;
        }
        if (this.#sessions.get(session.instance.instanceId) !== session) return;
        session.heardAtMs = this.#options.clock.monotonicMs();
        if (message?.$case === 'heartbeat') this.#takeHeartbeat(session, message.heartbeat);
        else if (message?.$case === 'register')
          throw new PartitaError('STREAM_ORDER', 'an instance registers once in a session: open a new one');
      },
      onClose: (error) => {
        if (session !== undefined) this.#end(session, error?.message ?? 'closed by the instance');
      },
    };
  }

  #register(stream: Stream, message: InstanceRegister): Session {
    const { clusterId, runId, model, lease, clock, logger } = this.#options;
    checkPeer({ ...message, clusterId: message.clusterId || clusterId }, clusterId);
    const { instanceId, address, peerAddress, version } = message;
    if (!isUuid(instanceId))
      throw new PartitaError('INVALID_REQUEST', 'instance_id must be a lower-case UUID', { field: 'instance_id' });
    const service = serviceOf(message.service);
    const instance: InstanceFacts = { instanceId, address, peerAddress, version, service, draining: false };
    const session: Session = { stream, instance, heardAtMs: clock.monotonicMs() };
    const replaced = this.#sessions.get(instanceId);
    this.#sessions.set(instanceId, session);
    replaced?.stream.end(new PartitaError('CANCELLED', 'the instance has opened another session'));
    model.apply([{ type: 'instance_put', instance }]);
    logger.info({ instanceId, kind: instance.service, address }, 'instance registered');
    const accepted = { clusterId, coordinatorRunId: runId, heartbeatMs: HEARTBEAT_MS, active: lease.mayOrder() };
    stream.send({ message: { $case: 'accepted', accepted } });
    this.#sendShardsTo(stream);
    this.#sendQuotasTo(stream);
    return session;
  }

  #takeHeartbeat(session: Session, { draining, ownedShards }: InstanceHeartbeat): void {
    if (draining !== session.instance.draining) {
      session.instance = { ...session.instance, draining };
      this.#options.model.apply([{ type: 'instance_put', instance: session.instance }]);
    }
    const { instance } = session;
    if (ownedShards.length === 0) return;
    this.#options.onOwned(
      instance.instanceId,
      ownedShards.map(({ shard }) => shard),
    );
  }

  #end(session: Session, why: string): void {
    const { instanceId, service } = session.instance;
    if (this.#sessions.get(instanceId) !== session) return;
    this.#sessions.delete(instanceId);
    session.stream.end(new PartitaError('CANCELLED', `the session is over: ${why}`));
    this.#options.model.apply([{ type: 'instance_removed', instanceId }]);
    this.#options.logger.info({ instanceId, kind: service, why }, 'instance gone');
  }
}

function serviceOf(service: ServiceKind): InstanceFacts['service'] {
  if (service === ServiceKind.SERVICE_KIND_GATEWAY) return 'gateway';
  if (service === ServiceKind.SERVICE_KIND_CONSUMER_GROUP) return 'consumer_group';
  if (service === ServiceKind.SERVICE_KIND_CONSOLE) return 'console';
  throw new PartitaError('INVALID_REQUEST', 'service must be a gateway, a consumer-group instance or a console', {
    field: 'service',
    value: String(service),
  });
}
