/** Spans of hand-made traces, for specs. */
import { TraceSpan } from '@partita/protocol';

export interface MadeSpan {
  readonly id: string;
  readonly parent?: string;
  /** Default: the id. */
  readonly name?: string;
  /** Default: `app`. */
  readonly service?: string;
  readonly instance?: string;
  /** Default: `internal`. */
  readonly kind?: string;
  /** Milliseconds since the trace began; may be negative. */
  readonly at: readonly [from: number, to: number];
  readonly attributes?: Readonly<Record<string, string>>;
}

const BASE_NANOS = 1_700_000_000_000_000_000n;
const NANOS_PER_SECOND = 1_000_000_000n;

export function madeSpan({ id, parent = '', at: [from, to], ...made }: MadeSpan): TraceSpan {
  return TraceSpan.fromPartial({
    ...{ spanId: id, parentSpanId: parent, name: made.name ?? id, serviceName: made.service ?? 'app' },
    ...{ serviceInstance: made.instance ?? '', kind: made.kind ?? 'internal' },
    startTime: secondsAndNanos(BASE_NANOS + BigInt(Math.round(from * 1e6))),
    duration: secondsAndNanos(BigInt(Math.round((to - from) * 1e6))),
    attributes: Object.entries(made.attributes ?? {}).map(([name, value]) => ({ name, value })),
  });
}

function secondsAndNanos(nanos: bigint): { seconds: bigint; nanos: number } {
  return { seconds: nanos / NANOS_PER_SECOND, nanos: Number(nanos % NANOS_PER_SECOND) };
}
