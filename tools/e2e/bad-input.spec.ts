/** What no careful client sends: typed errors with reasons, nothing stored, no process dies. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  AppendRequest,
  AppendResponse,
  AppendStreamRequest,
  AppendStreamResponse,
  BatchType,
  ConsumeRequest,
  FetchRequest,
  FetchResponse,
  FetchStreamRequest,
  ProduceRequest,
  ProduceStreamRequest,
  ProduceStreamResponse,
  ReadRecordsRequest,
} from '@partita/protocol';
import { Api } from './api.ts';
import { publicRpcs } from './contract.ts';
import type { Listener } from './contract.ts';
import { figure } from './figures.ts';
import { startCluster } from './harness.ts';
import type { Cluster } from './harness.ts';
import { Member } from './member.ts';
import type { ConsumeMessage } from './member.ts';
import { RawClient, reasonIn } from './raw-call.ts';
import type { RawAnswer, StreamOptions } from './raw-call.ts';
import { LONG } from './root.ts';
import { bytesField, stockBatch, stockBytes, stockBytesWith } from './stock-batch.ts';
import { until } from './until.ts';
import { seededRandom, wildMessage } from './wild-message.ts';

const TOPIC = 'bad-input';
const MIB = 1024 * 1024;
/** A field 1 of 127 bytes that are not there. */
const MALFORMED = Buffer.from([0x0a, 0x7f]);
const FUZZ_SECONDS = LONG ? 60 : 6;

let cluster: Cluster;
let api: Api;
let pids: readonly number[];
/** Records in the topic: what is refused stores nothing. */
let recordCount: number;
const clients = new Map<Listener, RawClient>();

beforeAll(async () => {
  // One broker, so that the one address of a broker is that of every leader.
  cluster = await startCluster({ brokers: 1 });
  api = new Api(cluster);
  await api.createTopic(TOPIC, 1);
  await api.produce(TOPIC, [{ key: 'a', value: 'the only one' }]);
  pids = cluster.servicePids;
  recordCount = 1;
  for (const [listener, address] of Object.entries(cluster.addresses)) {
    clients.set(listener as Listener, new RawClient(address));
  }
});
afterEach(async () => {
  expect(cluster.servicePids).toEqual(pids);
  expect(await api.readPartition(TOPIC, 0)).toHaveLength(recordCount);
  expect(cluster.launcher.output).not.toMatch(/starting it again/);
});
afterAll(async () => {
  for (const client of clients.values()) client.close();
  api.close();
  await cluster.dispose();
});

function at(listener: Listener): RawClient {
  const client = clients.get(listener);
  if (client === undefined) throw new Error(`no ${listener}`);
  return client;
}

const refused = (code: string, reason: string | readonly string[]): object => ({
  code,
  reason: typeof reason === 'string' ? reason : expect.toSatisfy((given: string) => reason.includes(given)),
  message: expect.stringMatching(/\S/) as unknown,
});

const produce = (request: Parameters<typeof ProduceRequest.fromPartial>[0]): Promise<RawAnswer> =>
  at('gateway').unary(
    '/partita.v1.ProducerService/Produce',
    ProduceRequest.encode(ProduceRequest.fromPartial({ topic: TOPIC, ...request })).finish(),
  );

const read = (request: Parameters<typeof ReadRecordsRequest.fromPartial>[0]): Promise<RawAnswer> =>
  at('consumerGroup').unary(
    '/partita.v1.GroupService/ReadRecords',
    ReadRecordsRequest.encode(ReadRecordsRequest.fromPartial({ topic: TOPIC, ...request })).finish(),
  );

/** Joins a group of its own, sends the parts, and tells how the server ended the stream. */
function consume(parts: readonly ConsumeMessage[], options: StreamOptions = { end: false }): Promise<RawAnswer> {
  const messages = parts.map((message) => ConsumeRequest.encode(ConsumeRequest.fromPartial({ message })).finish());
  return at('consumerGroup').stream('/partita.v1.GroupService/Consume', messages, options);
}

let groupCount = 0;
const initial = (fields: Extract<ConsumeMessage, { $case?: 'initial' }>['initial'] = {}): ConsumeMessage => ({
  $case: 'initial',
  initial: {
    group: `bad-${(groupCount += 1)}`,
    subscription: { topics: [TOPIC] },
    credit: { records: 10n, bytes: 10_000n },
    ...fields,
  },
});

/** The reason of the one entry of an Append. */
async function appendReason(bytes: Uint8Array, fields: object = {}): Promise<string | undefined> {
  const request = AppendRequest.fromPartial({
    entries: [{ topic: TOPIC, partition: 0, recordBatches: bytes, ...fields }],
  });
  const answer = await at('broker').unary('/partita.v1.BrokerService/Append', AppendRequest.encode(request).finish());
  if (answer.code !== 'OK') return answer.reason;
  const { outcome } = AppendResponse.decode(answer.responses[0] ?? Buffer.alloc(0)).results[0] ?? {};
  return outcome?.$case === 'error' ? reasonIn(outcome.error) : outcome?.$case;
}

async function appendStreamReason(bytes: Uint8Array): Promise<string | undefined> {
  const message = (part: Parameters<typeof AppendStreamRequest.fromPartial>[0]): Uint8Array =>
    AppendStreamRequest.encode(AppendStreamRequest.fromPartial(part)).finish();
  const entries = [{ topic: TOPIC, partition: 0, recordBatches: bytes }];
  const reasons = (responses: readonly Buffer[]): (string | undefined)[] =>
    responses.flatMap((response) => {
      const decoded = AppendStreamResponse.decode(response).message;
      if (decoded?.$case !== 'result') return [];
      const { outcome } = decoded.result.results[0] ?? {};
      return [outcome?.$case === 'error' ? reasonIn(outcome.error) : outcome?.$case];
    });
  const answer = await at('broker').stream(
    '/partita.v1.BrokerService/AppendStream',
    [
      message({ message: { $case: 'initial', initial: {} } }),
      message({ message: { $case: 'append', append: { frameId: 1n, entries } } }),
    ],
    { enough: (responses) => reasons(responses).length > 0 },
  );
  return reasons(answer.responses)[0] ?? answer.reason;
}

async function produceStreamReason(bytes: Uint8Array): Promise<string | undefined> {
  const message = (part: Parameters<typeof ProduceStreamRequest.fromPartial>[0]): Uint8Array =>
    ProduceStreamRequest.encode(ProduceStreamRequest.fromPartial(part)).finish();
  const reasons = (responses: readonly Buffer[]): (string | undefined)[] =>
    responses.flatMap((response) => {
      const decoded = ProduceStreamResponse.decode(response).message;
      if (decoded?.$case !== 'result') return [];
      const { outcome } = decoded.result;
      if (outcome?.$case === 'error') return [reasonIn(outcome.error)];
      const inner = outcome?.response.results[0]?.outcome;
      return [inner?.$case === 'error' ? reasonIn(inner.error) : inner?.$case];
    });
  const batch = { frameId: 1n, topic: TOPIC, partition: 0, recordBatches: bytes };
  const answer = await at('gateway').stream(
    '/partita.v1.ProducerService/ProduceStream',
    [message({ message: { $case: 'initial', initial: {} } }), message({ message: { $case: 'batch', batch } })],
    { enough: (responses) => reasons(responses).length > 0 },
  );
  return reasons(answer.responses)[0] ?? answer.reason;
}

describe('a topic or partition that does not exist', () => {
  const record = { value: Buffer.from('x') };

  it('is refused by every door that names one', async () => {
    expect(await produce({ topic: 'none', records: [record] })).toMatchObject(refused('NOT_FOUND', 'TOPIC_NOT_FOUND'));
    expect(await read({ topic: 'none' })).toMatchObject(refused('NOT_FOUND', 'TOPIC_NOT_FOUND'));
    expect(await appendReason(stockBytes(stockBatch([{ value: 'x' }])), { topic: 'none' })).toBe('TOPIC_NOT_FOUND');
    expect(await consume([initial({ subscription: { topics: ['none'] } })])).toMatchObject(
      refused('NOT_FOUND', 'TOPIC_NOT_FOUND'),
    );
  });

  it('says PARTITION_NOT_FOUND when only the partition is unknown', async () => {
    expect(await produce({ partition: 9, records: [record] })).toMatchObject(
      refused('NOT_FOUND', 'PARTITION_NOT_FOUND'),
    );
    expect(await read({ partition: 9 })).toMatchObject(refused('NOT_FOUND', 'PARTITION_NOT_FOUND'));
    expect(await read({ partition: -1 })).toMatchObject({
      reason: expect.stringMatching(/NOT_FOUND|INVALID/) as unknown,
    });
  });
});

describe('what is too large', () => {
  it('is refused with the limit: a record, its headers, a batch, a message', async () => {
    const value = Buffer.alloc(MIB + 1);
    expect(await produce({ records: [{ value }] })).toMatchObject(refused('INVALID_ARGUMENT', 'RECORD_TOO_LARGE'));
    const headers = Array.from({ length: 129 }, () => ({ name: 'n', value: Buffer.from('v') }));
    expect(await produce({ records: [{ headers }] })).toMatchObject(refused('INVALID_ARGUMENT', 'RECORD_TOO_LARGE'));
    expect(await appendReason(stockBytes(stockBatch([{ value: 'x'.repeat(MIB + 100) }])))).toBe('RECORD_TOO_LARGE');
    expect(await produce({ records: [{ value: Buffer.alloc(5 * MIB) }] })).toMatchObject(
      refused('RESOURCE_EXHAUSTED', 'LIMIT_EXCEEDED'),
    );
  });
});

describe('an offset out of range', () => {
  it('is refused by ReadRecords', async () => {
    const start = (offset: bigint) => read({ start: { position: { $case: 'offset', offset } } });
    expect(await start(1000n)).toMatchObject(refused('OUT_OF_RANGE', 'OFFSET_OUT_OF_RANGE'));
    expect(await start(2n ** 63n - 1n)).toMatchObject(refused('OUT_OF_RANGE', 'OFFSET_OUT_OF_RANGE'));
    expect(await start(-1n)).toMatchObject(refused('INVALID_ARGUMENT', 'INVALID_REQUEST'));
  });

  it.for([1000n, -1n])('is refused by Fetch: %s', async (offset) => {
    const request = FetchRequest.fromPartial({ partitions: [{ topic: TOPIC, partition: 0, offset }] });
    const answer = await at('broker').unary('/partita.v1.BrokerService/Fetch', FetchRequest.encode(request).finish());
    const inBand = answer.responses.map((bytes) => reasonIn(FetchResponse.decode(bytes).partitions[0]?.error))[0];
    expect(['OFFSET_OUT_OF_RANGE', 'INVALID_REQUEST']).toContain(inBand ?? answer.reason);
  });

  it.for([1000n, -1n])('is refused by a seek while consuming: %s', async (offset) => {
    const member = new Member(api, cluster.addresses.consumerGroup, `seek-${offset}`, [TOPIC]);
    await member.untilHolding(1);
    const [partition] = member.held;
    const entries = [
      { partition: partition!, position: { position: { $case: 'offset', offset } }, seekId: 1n },
    ] as const;
    member.send({ $case: 'seek', seek: { entries: [...entries] } });
    await until('the end of the stream', 10, () => member.ended !== undefined);
    expect(member.ended).toMatchObject({
      reason: expect.stringMatching(/OFFSET_OUT_OF_RANGE|INVALID_REQUEST/) as unknown,
    });
  });
});

describe('a number that makes no sense', () => {
  it('is refused: a negative credit, in the first message and later', async () => {
    const negative = [
      { records: -1n, bytes: 1n },
      { records: 1n, bytes: -1n },
    ];
    for (const credit of negative) {
      expect(await consume([initial({ credit })])).toMatchObject(refused('INVALID_ARGUMENT', 'INVALID_REQUEST'));
      expect(await consume([initial(), { $case: 'credit', credit }])).toMatchObject(
        refused('INVALID_ARGUMENT', 'INVALID_REQUEST'),
      );
    }
  });

  it('is refused: a negative credit of a fetch stream', async () => {
    const message = (part: Parameters<typeof FetchStreamRequest.fromPartial>[0]): Uint8Array =>
      FetchStreamRequest.encode(FetchStreamRequest.fromPartial(part)).finish();
    const first = message({ message: { $case: 'initial', initial: { credit: { bytes: -1n } } } });
    const later = [
      message({ message: { $case: 'initial', initial: { credit: { bytes: 1n } } } }),
      message({ message: { $case: 'credit', credit: { bytes: -1n } } }),
    ];
    for (const messages of [[first], later]) {
      const answer = await at('broker').stream('/partita.v1.BrokerService/FetchStream', messages, { end: false });
      expect(answer).toMatchObject(refused('INVALID_ARGUMENT', 'INVALID_REQUEST'));
    }
  });

  it('is refused: negative counts and waits', async () => {
    expect(await read({ maxRecords: -1 })).toMatchObject(refused('INVALID_ARGUMENT', 'INVALID_REQUEST'));
    expect(await read({ maxBytes: -1 })).toMatchObject(refused('INVALID_ARGUMENT', 'INVALID_REQUEST'));
    expect(await read({ maxWaitMs: 30_001 })).toMatchObject(refused('INVALID_ARGUMENT', 'INVALID_REQUEST'));
  });

  it('is refused: an enum value that nobody knows', async () => {
    const records = [{ value: Buffer.from('x') }];
    expect(await produce({ records, acks: 99 as never })).toMatchObject(refused('INVALID_ARGUMENT', 'INVALID_REQUEST'));
    expect(await produce({ records, codec: 99 as never })).toMatchObject(
      refused('INVALID_ARGUMENT', ['INVALID_REQUEST', 'UNSUPPORTED_CODEC']),
    );
    const batch = stockBytes(stockBatch([{ value: 'x' }]));
    expect(await appendReason(batch, { acks: 99 })).toBe('INVALID_REQUEST');
    expect(await consume([initial({ offsetLostPolicy: 99 as never })])).toMatchObject(
      refused('INVALID_ARGUMENT', 'INVALID_REQUEST'),
    );
  });
});

describe('a stream out of order', () => {
  const credit: ConsumeMessage = { $case: 'credit', credit: { records: 1n, bytes: 1n } };

  it('is refused: another message first, `initial` twice, an empty message', async () => {
    const wrong = refused('INVALID_ARGUMENT', 'STREAM_ORDER');
    expect(await consume([credit])).toMatchObject(wrong);
    expect(await consume([initial(), initial()])).toMatchObject(wrong);
    expect(await consume([undefined])).toMatchObject(refused('INVALID_ARGUMENT', ['STREAM_ORDER', 'INVALID_REQUEST']));
  });
});

describe('a batch that breaks the format', () => {
  const plain = () =>
    stockBatch([
      { key: 'k', value: 'v' },
      { key: 'k', value: 'w' },
    ]);
  const records = () => plain().records;

  it.for<[string, string, () => Uint8Array]>([
    ['a second `records` field', 'INVALID_BATCH', () => stockBytesWith(plain(), bytesField(19, records()))],
    ['an unknown header field', 'INVALID_BATCH', () => stockBytesWith(plain(), bytesField(20, Buffer.from('x')))],
    ['a control type', 'INVALID_BATCH', () => stockBytes({ ...plain(), type: BatchType.BATCH_TYPE_CONFIG })],
    ['an unknown type', 'INVALID_BATCH', () => stockBytes({ ...plain(), type: 9 as never })],
    ['a wrong checksum', 'CHECKSUM_MISMATCH', () => stockBytes({ ...plain(), recordsCrc: 1 })],
    ['an unknown codec', 'UNSUPPORTED_CODEC', () => stockBytes({ ...plain(), codec: 9 as never })],
    ['a count of zero', 'INVALID_BATCH', () => stockBytes({ ...plain(), recordCount: 0, lastOffsetDelta: -1 })],
    ['a count and a last offset that differ', 'INVALID_BATCH', () => stockBytes({ ...plain(), lastOffsetDelta: 5 })],
    ['a size that is not that of its records', 'INVALID_BATCH', () => stockBytes({ ...plain(), uncompressedBytes: 3 })],
    ['no records', 'INVALID_BATCH', () => stockBytes({ ...plain(), records: new Uint8Array(), uncompressedBytes: 0 })],
    ['a time before 1970', 'INVALID_TIMESTAMP', () => stockBytes(stockBatch([{ value: 'v' }], -5n))],
    ['two batches', 'INVALID_BATCH', () => Buffer.concat([stockBytes(plain()), stockBytes(plain())])],
    ['no batch', 'INVALID_BATCH', () => new Uint8Array()],
    ['bytes that are no protobuf', 'MALFORMED_MESSAGE', () => MALFORMED],
  ])('is refused by Append, AppendStream and ProduceStream: %s', async ([, reason, bytes]) => {
    expect(await appendReason(bytes())).toBe(reason);
    expect(await appendStreamReason(bytes())).toBe(reason);
    expect(await produceStreamReason(bytes())).toBe(reason);
  });
});

describe('every RPC', () => {
  const rpcs = publicRpcs();

  it('answers bytes that are no protobuf with MALFORMED_MESSAGE', async () => {
    expect(rpcs.length).toBeGreaterThan(30);
    for (const { path, clientStreams, serverStreams, listeners } of rpcs) {
      for (const listener of listeners) {
        const client = at(listener);
        const streams = clientStreams || serverStreams;
        const answer = await (streams ? client.stream(path, [MALFORMED]) : client.unary(path, MALFORMED));
        const expected = refused('INVALID_ARGUMENT', 'MALFORMED_MESSAGE');
        if (answer.code !== 'UNIMPLEMENTED') expect(answer, `${path} at ${listener}`).toMatchObject(expected);
        else expect(answer, path).toMatchObject({ reason: 'NOT_IMPLEMENTED' });
      }
    }
  });

  it('answers an empty request with success or a typed error', async () => {
    for (const { path, clientStreams, serverStreams, listeners } of rpcs) {
      for (const listener of listeners) {
        const client = at(listener);
        const streams = clientStreams || serverStreams;
        const empty = Buffer.alloc(0);
        const answer = await (streams ? client.stream(path, [empty], { deadlineMs: 1000 }) : client.unary(path, empty));
        expect(['INTERNAL', 'UNKNOWN'], `${path} at ${listener}: ${answer.message}`).not.toContain(answer.code);
        // A stream of routes goes on until the deadline, which our side of the call reports.
        if (answer.code !== 'OK' && answer.code !== 'DEADLINE_EXCEEDED') expect(answer.reason, path).toBeDefined();
      }
    }
  });

  it(
    'survives random messages: never INTERNAL, never UNKNOWN, always a reason',
    async () => {
      const seed = Number(process.env['PARTITA_TEST_SEED'] ?? Date.now() % 2 ** 31);
      figure('fuzz', 'seconds', FUZZ_SECONDS);
      figure('fuzz', 'PARTITA_TEST_SEED', seed);
      const random = seededRandom(seed);
      const codes = new Map<string, number>();
      const end = performance.now() + FUZZ_SECONDS * 1000;
      while (performance.now() < end) {
        const drawn = Array.from({ length: 16 }, () => rpcs[Math.floor(random() * rpcs.length)]!);
        // Topics that are made would add up, and what is deleted may be the topic that the other tests count.
        const calls = drawn.filter(({ path }) => !/DeleteTopic|DeleteRecords/.test(path));
        await Promise.all(
          calls.map(async ({ path, input, clientStreams, serverStreams, listeners }) => {
            const listener = listeners[Math.floor(random() * listeners.length)] ?? 'gateway';
            const count = clientStreams ? 1 + Math.floor(random() * 4) : 1;
            const messages = Array.from({ length: count }, () => wildMessage(input, random));
            const answer =
              clientStreams || serverStreams
                ? await at(listener).stream(path, messages, { deadlineMs: 300 })
                : await at(listener).unary(path, messages[0] ?? Buffer.alloc(0), 3000);
            codes.set(answer.code, (codes.get(answer.code) ?? 0) + 1);
            const sent = messages.map((bytes) => Buffer.from(bytes.subarray(0, 300)).toString('hex')).join(' ');
            const what = `${path} at ${listener}: ${answer.code} ${answer.message}; sent ${sent}`;
            expect(['INTERNAL', 'UNKNOWN'], what).not.toContain(answer.code);
            if (!['OK', 'DEADLINE_EXCEEDED', 'CANCELLED'].includes(answer.code))
              expect(answer.reason, what).toBeDefined();
          }),
        );
      }
      for (const [code, count] of codes) figure('fuzz', `answers ${code}`, count);
      await until('the cluster to take a record', 20, () => api.produce(TOPIC, [{ value: 'after the storm' }]));
      recordCount = (await api.readPartition(TOPIC, 0)).length;
    },
    (FUZZ_SECONDS + 60) * 1000,
  );
});
