/** Metrics of calls that come in. With metrics on, handlers are wrapped once, when a service is bound; else they are not. */
import { status } from '@grpc/grpc-js';
import type { handleUnaryCall } from '@grpc/grpc-js';
import { STATUS_CODES } from '@partita/telemetry';
import type { HistogramSeries, Metrics } from '@partita/telemetry';

/** The handler, measured from its call to its status. A call of which no status is sent was cancelled, or came too late. */
export function measureUnary<Request, Response>(
  metrics: Metrics,
  path: string,
  handle: handleUnaryCall<Request, Response>,
): handleUnaryCall<Request, Response> {
  if (!metrics.isOn) return handle;
  const method = path.slice(1);
  const durations = metrics.histogram('partita.rpc.server.duration');
  const underWay = metrics.gauge('partita.rpc.server.calls').of();
  const byCode: (HistogramSeries | undefined)[] = [];
  return (call, callback) => {
    const startMs = performance.now();
    underWay.add(1);
    let isOpen = true;
    const end = (code: number): void => {
      if (!isOpen) return;
      isOpen = false;
      underWay.add(-1);
      const series = (byCode[code] ??= durations.of({ method, code: STATUS_CODES[code] ?? 'UNKNOWN' }));
      series.record((performance.now() - startMs) / 1000);
    };
    // grpc-js tells the end of any call by this event.
    call.once('cancelled', () =>
      end(Date.now() < Number(call.getDeadline()) ? status.CANCELLED : status.DEADLINE_EXCEEDED),
    );
    handle(call, (error, response, trailer, flags) => {
      end(error === null ? status.OK : (error.code ?? status.UNKNOWN));
      callback(error, response, trailer, flags);
    });
  };
}

interface StreamCall {
  once(event: 'cancelled', listener: () => void): unknown;
}

/** The handler of a streaming method, counted while its stream is open. */
export function measureStream<Call extends StreamCall>(
  metrics: Metrics,
  path: string,
  handle: (call: Call) => void,
): (call: Call) => void {
  if (!metrics.isOn) return handle;
  const open = metrics.gauge('partita.rpc.server.streams').of({ method: path.slice(1) });
  return (call) => {
    open.add(1);
    call.once('cancelled', () => open.add(-1));
    handle(call);
  };
}
