/**
 * A coordinator and brokers for specs, each a real gRPC server on loopback. The coordinator tells routes and takes
 * instance sessions; a broker keeps what is appended in memory, or does what the spec says instead.
 */
import { batchesIn, decodeBatch } from '@partita/batch';
import {
  GATEWAY_BYTES_IN_FLIGHT_MAX,
  GATEWAY_CLIENT_BYTES_IN_FLIGHT_MAX,
  GATEWAY_CONNECTION_BYTES_IN_FLIGHT_MAX,
  GATEWAY_LEADER_BYTES_IN_FLIGHT_MAX,
  PartitaError,
} from '@partita/domain';
import {
  AppendAck,
  BrokerServiceService,
  BrokerState,
  ClusterServiceService,
  InstanceSessionServiceService,
  ServiceKind,
} from '@partita/protocol';
import type {
  AppendEntry,
  AppendFrame,
  AppendResult,
  AppendStreamRequest,
  AppendStreamResponse,
  Broker,
  InstanceHeartbeat,
  InstanceQuotas,
  InstanceRegister,
  InstanceSessionRequest,
  InstanceSessionResponse,
  ServiceEndpoint,
  TopicRoute,
} from '@partita/protocol';
import { toRpcStatus } from '@partita/rpc';
import { bidi, createRpcServer, DirectoryHolder, directoryMethods, implement } from '@partita/rpc/server';
import type { RpcServer, ServerBidiStream } from '@partita/rpc/server';
import { createLogger, PRODUCT_VERSION, systemClock, parseAddress } from '@partita/runtime';
import type { ConfigOf } from '@partita/runtime';
import type { GATEWAY_CONFIG } from '../config.ts';

export const CLUSTER_ID = '00000000-0000-7000-8000-00000000000c';
export const LOGGER = createLogger({ service: 'spec', instance: 'spec', level: 'silent' });

/** What a broker makes of a batch: stored by default, refused with an error, or `silence`: no answer. */
type Verdict = 'store' | 'silence' | PartitaError;

export class SpecBroker {
  readonly brokerId: number;
  /** Values of the records stored, by partition, in the order of their offsets. */
  readonly values = new Map<number, string[]>();
  readonly entries: AppendEntry[] = [];
  readonly streams = new Set<ServerBidiStream<AppendStreamResponse>>();
  /** Of those who have opened streams. */
  readonly clientIds = new Set<string>();
  judge: (entry: AppendEntry) => Verdict = () => 'store';
  address = '';
  readonly #server = serverNamed('broker');
  readonly #unanswered: (() => void)[] = [];

  constructor(brokerId: number) {
    this.brokerId = brokerId;
    this.#server.addService(
      BrokerServiceService,
      implement(BrokerServiceService, { appendStream: bidi((stream, { clientId }) => this.#open(stream, clientId)) }),
    );
  }

  async start(): Promise<this> {
    ({ address: this.address } = await this.#server.start());
    return this;
  }

  close(): void {
    this.#server.close();
  }

  /** Stores and answers what was met with silence, as though it had taken long. */
  answerSilent(): void {
    for (const answer of this.#unanswered.splice(0)) answer();
  }

  #open(stream: ServerBidiStream<AppendStreamResponse>, clientId: string) {
    this.clientIds.add(clientId);
    this.streams.add(stream);
    stream.onClose(() => this.streams.delete(stream));
    return {
      onMessage: ({ message }: AppendStreamRequest): void => {
        if (message?.$case === 'initial') {
          const ready = { heartbeatMs: 1000, framesInFlightMax: 100, bytesInFlightMax: 1n << 24n };
          stream.send({ message: { $case: 'ready', ready } });
        } else if (message?.$case === 'append') this.#append(stream, message.append);
      },
    };
  }

  #append(stream: ServerBidiStream<AppendStreamResponse>, { frameId, entries }: AppendFrame): void {
    const [entry] = entries;
    if (entry === undefined) throw new PartitaError('INVALID_REQUEST', 'a frame without entries');
    this.entries.push(entry);
    const verdict = this.judge(entry);
    const answer = (result: AppendResult): void =>
      void stream.send({ message: { $case: 'result', result: { frameId, results: [result] } } });
    if (verdict === 'silence') this.#unanswered.push(() => answer(this.#store(entry)));
    else if (verdict === 'store') answer(this.#store(entry));
    else answer({ outcome: { $case: 'error', error: toRpcStatus(verdict) } });
  }

  #store({ partition, recordBatches, leaderEpoch }: AppendEntry): AppendResult {
    const values = this.values.get(partition) ?? [];
    this.values.set(partition, values);
    const baseOffset = BigInt(values.length);
    for (const { position } of batchesIn(recordBatches)) {
      const { records } = decodeBatch(recordBatches, position);
      for (const { value } of records) values.push(Buffer.from(value ?? []).toString());
    }
    const recordCount = values.length - Number(baseOffset);
    const ack = AppendAck.fromPartial({ partition, baseOffset, leaderEpoch, replicasAcked: 1, recordCount });
    return { outcome: { $case: 'ack', ack } };
  }
}

export class SpecCoordinator {
  readonly registered: InstanceRegister[] = [];
  readonly heartbeats: InstanceHeartbeat[] = [];
  /** Refuses instances with this. */
  refusal: PartitaError | undefined;
  address = '';
  readonly #server = serverNamed('coordinator');
  readonly #directory = new DirectoryHolder(systemClock);
  readonly #sessions = new Set<ServerBidiStream<InstanceSessionResponse>>();

  constructor() {
    const about = { service: ServiceKind.SERVICE_KIND_COORDINATOR, version: PRODUCT_VERSION, clock: systemClock };
    this.#server.addService(
      ClusterServiceService,
      implement(ClusterServiceService, directoryMethods(this.#directory, about)),
    );
    this.#server.addService(
      InstanceSessionServiceService,
      implement(InstanceSessionServiceService, { instanceSession: bidi((stream) => this.#session(stream)) }),
    );
  }

  async start(): Promise<this> {
    ({ address: this.address } = await this.#server.start());
    this.#directory.update({ clusterId: CLUSTER_ID, routes: [], brokers: [], endpoints: [] });
    return this;
  }

  /** Tells everybody who leads what, and where. */
  tell(
    routes: readonly TopicRoute[],
    brokers: readonly SpecBroker[],
    endpoints: readonly ServiceEndpoint[] = [],
  ): void {
    const known = brokers.map(({ brokerId, address }): Broker => {
      const state = BrokerState.BROKER_STATE_UP;
      return { brokerId, address, rack: '', state, version: PRODUCT_VERSION };
    });
    this.#directory.update({ routes, brokers: known, endpoints });
  }

  /** Tells every instance with a session. */
  tellQuotas(quotas: InstanceQuotas): void {
    for (const stream of this.#sessions) stream.send({ message: { $case: 'quotas', quotas } });
  }

  /** Takes its sessions back, and no new ones. */
  leave(): void {
    for (const stream of this.#sessions) stream.end();
    this.refusal = new PartitaError('SHUTTING_DOWN', 'gone');
  }

  close(): void {
    this.#server.close();
  }

  #session(stream: ServerBidiStream<InstanceSessionResponse>) {
    return {
      onMessage: ({ message }: InstanceSessionRequest): void => {
        if (message?.$case === 'heartbeat') this.heartbeats.push(message.heartbeat);
        if (message?.$case !== 'register') return;
        if (this.refusal !== undefined) return stream.end(this.refusal);
        this.registered.push(message.register);
        const accepted = { clusterId: CLUSTER_ID, coordinatorRunId: 'run', heartbeatMs: 1000, active: true };
        stream.send({ message: { $case: 'accepted', accepted } });
        this.#sessions.add(stream);
        stream.onClose(() => this.#sessions.delete(stream));
      },
    };
  }
}

function serverNamed(name: string): RpcServer {
  return createRpcServer({ name, listen: '127.0.0.1:0', limits: 'peer', logger: LOGGER, tracing: 'off' });
}

/** As `npm start` gives it to a gateway. */
export function gatewayConfig(coordinatorAddress: string): ConfigOf<typeof GATEWAY_CONFIG> {
  return {
    listen: { host: '127.0.0.1', port: 0 },
    advertise: undefined,
    coordinators: [parseAddress(coordinatorAddress)],
    insecure: false,
    merge: 'on',
    bytesInFlightMax: GATEWAY_BYTES_IN_FLIGHT_MAX,
    clientBytesInFlightMax: GATEWAY_CLIENT_BYTES_IN_FLIGHT_MAX,
    connectionBytesInFlightMax: GATEWAY_CONNECTION_BYTES_IN_FLIGHT_MAX,
    leaderBytesInFlightMax: GATEWAY_LEADER_BYTES_IN_FLIGHT_MAX,
    metricsListen: undefined,
    metricsHosts: [],
    logLevel: 'info',
  };
}
