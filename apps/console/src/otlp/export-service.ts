/** OTLP's service of traces, as every OpenTelemetry exporter calls it over gRPC. */
import type { ServiceDefinition, MethodDefinition } from '@grpc/grpc-js';
import { PartitaError } from '@partita/domain';
import { implement, unary } from '@partita/rpc/server';
import type { Implementation } from '@partita/rpc/server';
import type { Logger } from '@partita/runtime';
import type { TraceFiles } from '../traces/trace-files.ts';
import type { TraceStore } from '../traces/trace-store.ts';
import { decodeExportRequest } from './decode.ts';
import type { Span } from './span.ts';

/** An ExportTraceServiceRequest: what it says, and its bytes for the file. */
interface ExportRequest {
  readonly bytes: Uint8Array;
  readonly spans: readonly Span[];
}

/** An ExportTraceServiceResponse without a field: everything was taken. */
type ExportResponse = Readonly<Record<string, never>>;

const EXPORT: MethodDefinition<ExportRequest, ExportResponse> = {
  path: '/opentelemetry.proto.collector.trace.v1.TraceService/Export',
  requestStream: false,
  responseStream: false,
  requestSerialize: ({ bytes }) => Buffer.from(bytes),
  requestDeserialize: (bytes) => ({ bytes, spans: decodeExportRequest(bytes) }),
  responseSerialize: () => Buffer.alloc(0),
  responseDeserialize: () => ({}),
};

export const OtlpTraceService = { export: EXPORT } satisfies ServiceDefinition;

/** Takes spans into memory and into the files. A disk that fails costs the restart's memory, not the traces of now. */
export function exportService(
  store: TraceStore,
  files: TraceFiles,
  logger: Logger,
): Implementation<typeof OtlpTraceService> {
  return implement(OtlpTraceService, {
    export: unary(async ({ bytes, spans }) => {
      const leftOut = store.add(spans);
      if (leftOut > 0) logger.debug({ leftOut }, 'a trace has more spans than are kept');
      try {
        await files.append(bytes);
      } catch (error) {
        if (error instanceof PartitaError) throw error;
        logger.warn({ err: error }, 'spans were not written: a restart will not know them');
      }
      return {};
    }),
  });
}
