/**
 * Every way by which a ready batch comes in, by raw gRPC; what became of it is told alike: an acknowledgement, or the
 * reason with its metadata, whether the whole call failed or one entry of it.
 */
import {
  Acks,
  AppendRequest,
  AppendResponse,
  AppendStreamRequest,
  AppendStreamResponse,
  BrokerServiceService,
  ProduceRequest,
  ProduceResponse,
  ProduceStreamRequest,
  ProduceStreamResponse,
} from '@partita/protocol';
import type { AppendAck, AppendResult, ProducerSession, ProduceResult, Topic } from '@partita/protocol';
import { callUnary } from '@partita/rpc/client';
import type { Api } from './api.ts';
import type { Cluster } from './harness.ts';
import { infoIn, RawClient } from './raw-call.ts';
import type { RawAnswer } from './raw-call.ts';
import { readBatches } from './stock-library.ts';
import type { ReadBatch } from './stock-library.ts';

export const DOORS = ['Append', 'AppendStream', 'ProduceStream'] as const;
export type Door = (typeof DOORS)[number];

/** An acknowledgement, or a reason and its metadata side by side. */
export type Outcome = { readonly ack: AppendAck } | Readonly<Record<string, string>>;

export interface SendOptions {
  /** Default 0. */
  readonly partition?: number;
  /** Of a ProduceStream. Default: the caller named the partition. */
  readonly partitionChosen?: boolean;
  /** Of a ProduceStream. Default: found by name. */
  readonly topicId?: string;
  readonly expectedNextOffset?: bigint;
}

/** What a partition's leader knows that a refused batch must not have changed. */
export interface Standing {
  readonly highWatermark: bigint;
  readonly dataEnd: bigint;
  readonly producers: readonly ProducerSession[];
}

const FRAME_MS_MAX = 3000;

/** The doors to one topic of a cluster with one broker. */
export class AppendDoors {
  readonly topic: Topic;
  readonly #api: Api;
  readonly #addresses: Cluster['addresses'];
  readonly #broker: RawClient;
  readonly #gateway: RawClient;

  constructor(cluster: Cluster, api: Api, topic: Topic) {
    this.topic = topic;
    this.#api = api;
    this.#addresses = cluster.addresses;
    this.#broker = new RawClient(this.#addresses.broker);
    this.#gateway = new RawClient(this.#addresses.gateway);
  }

  close(): void {
    this.#broker.close();
    this.#gateway.close();
  }

  /** Sends a serialised RecordBatches through the door. */
  send(door: Door, recordBatches: Uint8Array, options: SendOptions = {}): Promise<Outcome> {
    if (door === 'Append') return this.append(recordBatches, options);
    return door === 'AppendStream'
      ? this.#appendStream(recordBatches, options)
      : this.#produceStream(recordBatches, options);
  }

  async append(recordBatches: Uint8Array, options: SendOptions = {}): Promise<Outcome> {
    const request = AppendRequest.fromPartial({ entries: [this.#entry(recordBatches, options)] });
    const answer = await this.#broker.unary('/partita.v1.BrokerService/Append', AppendRequest.encode(request).finish());
    if (answer.code !== 'OK') return failure(answer);
    return outcomeOf(AppendResponse.decode(answer.responses[0] ?? Buffer.alloc(0)).results[0]);
  }

  async #appendStream(recordBatches: Uint8Array, options: SendOptions): Promise<Outcome> {
    const message = (part: Parameters<typeof AppendStreamRequest.fromPartial>[0]): Uint8Array =>
      AppendStreamRequest.encode(AppendStreamRequest.fromPartial(part)).finish();
    const entries = [this.#entry(recordBatches, options)];
    const results = (responses: readonly Buffer[]): (AppendResult | undefined)[] =>
      responses.flatMap((response) => {
        const decoded = AppendStreamResponse.decode(response).message;
        return decoded?.$case === 'result' ? [decoded.result.results[0]] : [];
      });
    const answer = await this.#broker.stream(
      '/partita.v1.BrokerService/AppendStream',
      [
        message({ message: { $case: 'initial', initial: {} } }),
        message({ message: { $case: 'append', append: { frameId: 1n, entries, timeoutMs: FRAME_MS_MAX } } }),
      ],
      { enough: (responses) => results(responses).length > 0 },
    );
    const found = results(answer.responses);
    return found.length > 0 ? outcomeOf(found[0]) : failure(answer);
  }

  async #produceStream(recordBatches: Uint8Array, options: SendOptions): Promise<Outcome> {
    const message = (part: Parameters<typeof ProduceStreamRequest.fromPartial>[0]): Uint8Array =>
      ProduceStreamRequest.encode(ProduceStreamRequest.fromPartial(part)).finish();
    const { partition = 0, partitionChosen = true, topicId = '', expectedNextOffset } = options;
    const batch = {
      ...{ frameId: 1n, topic: this.topic.name, topicId, partition, partitionChosen, recordBatches },
      ...{ expectedNextOffset, timeoutMs: FRAME_MS_MAX, acks: Acks.ACKS_ALL },
    };
    const outcomes = (responses: readonly Buffer[]): Outcome[] =>
      responses.flatMap((response) => {
        const decoded = ProduceStreamResponse.decode(response).message;
        if (decoded?.$case !== 'result') return [];
        const { outcome } = decoded.result;
        if (outcome?.$case === 'error') return [refusal(infoIn(outcome.error))];
        return [outcomeOf(outcome?.response.results[0])];
      });
    const answer = await this.#gateway.stream(
      '/partita.v1.ProducerService/ProduceStream',
      [message({ message: { $case: 'initial', initial: {} } }), message({ message: { $case: 'batch', batch } })],
      { enough: (responses) => outcomes(responses).length > 0 },
    );
    return outcomes(answer.responses)[0] ?? failure(answer);
  }

  /** Plain records by the unary call. */
  async produce(request: Parameters<typeof ProduceRequest.fromPartial>[0]): Promise<Outcome> {
    const answer = await this.#gateway.unary(
      '/partita.v1.ProducerService/Produce',
      ProduceRequest.encode(ProduceRequest.fromPartial({ topic: this.topic.name, ...request })).finish(),
    );
    if (answer.code !== 'OK') return failure(answer);
    return outcomeOf(ProduceResponse.decode(answer.responses[0] ?? Buffer.alloc(0)).results[0]);
  }

  /** A request to the broker as it stands in the contract, of any size and number of entries. */
  async appendEntries(entries: readonly Uint8Array[]): Promise<Outcome> {
    const request = AppendRequest.fromPartial({ entries: entries.map((bytes) => this.#entry(bytes, {})) });
    const bytes = AppendRequest.encode(request).finish();
    const answer = await this.#broker.unary('/partita.v1.BrokerService/Append', bytes);
    return answer.code === 'OK'
      ? outcomeOf(AppendResponse.decode(answer.responses[0] ?? Buffer.alloc(0)).results[0])
      : failure(answer);
  }

  async standing(partition = 0): Promise<Standing> {
    const client = this.#api.pool.client(this.#addresses.broker);
    const topic = this.topic.name;
    const [{ results }, { producers }] = await Promise.all([
      callUnary(client, BrokerServiceService.listOffsets, {
        entries: [{ topicId: '', topic, partition, position: undefined, withLag: false }],
      }),
      callUnary(client, BrokerServiceService.describeProducers, { topic, partition, pageSize: 1000, pageToken: '' }),
    ]);
    const { highWatermark = -1n, dataEndOffset: dataEnd = -1n } = results[0] ?? {};
    return { highWatermark, dataEnd, producers };
  }

  /** What the leader answers to a fetch from the offset on: a serialised RecordBatches. */
  async fetchBytes(offset: bigint, partition = 0): Promise<Uint8Array> {
    const client = this.#api.pool.client(this.#addresses.broker);
    const { partitions } = await callUnary(client, BrokerServiceService.fetch, {
      ...{ maxBytes: 0, minBytes: 0, maxWaitMs: 0 },
      partitions: [
        {
          ...{ topicId: '', topic: this.topic.name, partition, offset, endOffset: undefined },
          ...{ maxBytes: 0, leaderEpoch: 0, lastRecordEpoch: 0 },
        },
      ],
    });
    return partitions[0]?.recordBatches ?? Buffer.alloc(0);
  }

  /** The same, read by the stock library. */
  async fetch(offset: bigint, partition = 0): Promise<ReadBatch[]> {
    return readBatches(await this.fetchBytes(offset, partition));
  }

  #entry(recordBatches: Uint8Array, { partition = 0, expectedNextOffset }: SendOptions) {
    return { topicId: this.topic.topicId, partition, recordBatches, expectedNextOffset, acks: Acks.ACKS_ALL };
  }
}

function outcomeOf(result: AppendResult | ProduceResult | undefined): Outcome {
  const { outcome } = result ?? {};
  return outcome?.$case === 'ack' ? { ack: outcome.ack } : refusal(infoIn(outcome?.error));
}

function failure(answer: RawAnswer): Outcome {
  return { reason: answer.reason ?? `no reason, ${answer.code}`, ...answer.metadata };
}

function refusal(info: { readonly reason: string; readonly metadata: Readonly<Record<string, string>> } | undefined) {
  return { reason: info?.reason ?? 'no reason', ...info?.metadata };
}
