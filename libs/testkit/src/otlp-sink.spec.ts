import { BinaryWriter } from '@bufbuild/protobuf/wire';
import { Client, credentials } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { OtlpSink } from './otlp-sink.ts';

let sink: OtlpSink;
let client: Client;

beforeAll(async () => {
  sink = await OtlpSink.start();
  client = new Client(sink.endpoint.slice('http://'.length), credentials.createInsecure());
});
afterAll(() => {
  client.close();
  sink.stop();
});

function message(fill: (writer: BinaryWriter) => void): Uint8Array {
  const writer = new BinaryWriter();
  fill(writer);
  return writer.finish();
}

const attribute = (key: string, fill: (value: BinaryWriter) => void): Uint8Array =>
  message((writer) => writer.tag(1, 2).string(key).tag(2, 2).bytes(message(fill)));

const traceId = 'aa'.repeat(16);
const parentId = '11'.repeat(8);
const span = message((writer) =>
  writer
    .tag(1, 2)
    .bytes(Buffer.from(traceId, 'hex'))
    .tag(2, 2)
    .bytes(Buffer.from('22'.repeat(8), 'hex'))
    .tag(3, 2)
    .string('vendor=state')
    .tag(4, 2)
    .bytes(Buffer.from(parentId, 'hex'))
    .tag(5, 2)
    .string('publish flights')
    .tag(6, 0)
    .int32(4)
    .tag(7, 1)
    .fixed64(1000n)
    .tag(8, 1)
    .fixed64(2000n)
    .tag(9, 2)
    .bytes(attribute('topic', (value) => value.tag(1, 2).string('flights')))
    .tag(9, 2)
    .bytes(attribute('count', (value) => value.tag(3, 0).int64(7n)))
    .tag(9, 2)
    .bytes(attribute('list', (value) => value.tag(5, 2).bytes(new Uint8Array())))
    .tag(13, 2)
    .bytes(
      message((link) =>
        link
          .tag(1, 2)
          .bytes(Buffer.from('bb'.repeat(16), 'hex'))
          .tag(2, 2)
          .bytes(new Uint8Array(8)),
      ),
    )
    .tag(15, 2)
    .bytes(message((status) => status.tag(3, 0).int32(2))),
);
const resource = message((writer) =>
  writer.tag(1, 2).bytes(attribute('service.name', (value) => value.tag(1, 2).string('partita-broker'))),
);
const request = message((writer) =>
  writer.tag(1, 2).bytes(
    message((resourceSpans) =>
      resourceSpans
        .tag(1, 2)
        .bytes(resource)
        .tag(2, 2)
        .bytes(message((scope) => scope.tag(2, 2).bytes(span))),
    ),
  ),
);

function exportBytes(bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      '/opentelemetry.proto.collector.trace.v1.TraceService/Export',
      (value: Uint8Array) => Buffer.from(value),
      () => undefined,
      bytes,
      (error) => (error === null ? resolve() : reject(error)),
    );
  });
}

describe('the OTLP receiver', () => {
  it('keeps ids, parent, kind, service, attributes, links and status of a span, and skips the rest', async () => {
    await exportBytes(request);
    expect(sink.trace(traceId)).toEqual([
      {
        traceId,
        spanId: '22'.repeat(8),
        parentSpanId: parentId,
        name: 'publish flights',
        kind: 'producer',
        service: 'partita-broker',
        attributes: { topic: 'flights', count: '7' },
        links: [{ traceId: 'bb'.repeat(16), spanId: '00'.repeat(8) }],
        error: true,
        startNanos: 1000n,
        endNanos: 2000n,
      },
    ]);
    expect(sink.trace('cc'.repeat(16))).toEqual([]);
  });

  it('refuses bytes that are no export request', async () => {
    await expect(exportBytes(Buffer.from([0x0a, 0x7f]))).rejects.toThrow();
  });
});
