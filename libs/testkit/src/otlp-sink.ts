/** A real OTLP/gRPC receiver of traces, as a collector is one: keeps the spans that processes export to it. */
import { Server, ServerCredentials } from '@grpc/grpc-js';
import type { ServerUnaryCall, sendUnaryData } from '@grpc/grpc-js';
import { decodeExportRequest } from './otlp-decode.ts';
import type { ReceivedSpan } from './otlp-decode.ts';

const EXPORT_PATH = '/opentelemetry.proto.collector.trace.v1.TraceService/Export';
/** A test that exports more than this has lost its way. */
const SPAN_COUNT_MAX = 100_000;

export class OtlpSink {
  /** For OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:port`. */
  readonly endpoint: string;
  readonly #server: Server;
  readonly #spans: ReceivedSpan[];

  private constructor(server: Server, spans: ReceivedSpan[], port: number) {
    this.#server = server;
    this.#spans = spans;
    this.endpoint = `http://127.0.0.1:${port}`;
  }

  /** Listens on a free loopback port. */
  static async start(): Promise<OtlpSink> {
    const spans: ReceivedSpan[] = [];
    const server = new Server();
    server.addService(
      {
        export: {
          path: EXPORT_PATH,
          requestStream: false,
          responseStream: false,
          requestDeserialize: decodeExportRequest,
          requestSerialize: () => Buffer.alloc(0),
          responseSerialize: () => Buffer.alloc(0),
          responseDeserialize: () => undefined,
        },
      },
      {
        export: (call: ServerUnaryCall<ReceivedSpan[], undefined>, done: sendUnaryData<undefined>) => {
          spans.push(...call.request);
          spans.splice(0, Math.max(0, spans.length - SPAN_COUNT_MAX));
          done(null, undefined);
        },
      },
    );
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => {
        if (error === null) resolve(bound);
        else reject(error);
      });
    });
    return new OtlpSink(server, spans, port);
  }

  /** Every span received so far, in the order of arrival. */
  get spans(): readonly ReceivedSpan[] {
    return this.#spans;
  }

  /** The spans of one trace by their start. */
  trace(traceId: string): ReceivedSpan[] {
    return this.#spans.filter((span) => span.traceId === traceId).sort((a, b) => Number(a.startNanos - b.startNanos));
  }

  stop(): void {
    this.#server.forceShutdown();
  }
}
