/** A span as the console keeps it. */
export const SPAN_KINDS = ['unspecified', 'internal', 'server', 'client', 'producer', 'consumer'] as const;
export type SpanKind = (typeof SPAN_KINDS)[number];

export type Attribute = readonly [name: string, value: string];

export interface SpanEvent {
  readonly name: string;
  readonly nanos: bigint;
  readonly attributes: readonly Attribute[];
}

/** What a span had and does not have here. */
export interface DroppedCounts {
  readonly attributes: number;
  readonly events: number;
  readonly links: number;
}

/** Ids are lower-case hexadecimal. Texts and lists are cut to the limits of @partita/domain when they are decoded. */
export interface Span {
  readonly traceId: string;
  readonly spanId: string;
  /** Empty = a root. */
  readonly parentSpanId: string;
  readonly name: string;
  readonly kind: SpanKind;
  /** `service.name` of its resource; empty when that says none. */
  readonly service: string;
  /** `service.instance.id` of its resource; empty when that says none. */
  readonly instance: string;
  readonly attributes: readonly Attribute[];
  readonly events: readonly SpanEvent[];
  /** `trace id-span id`. */
  readonly links: readonly string[];
  readonly dropped: DroppedCounts;
  /** Undefined = no error. */
  readonly error: string | undefined;
  readonly startNanos: bigint;
  /** Never before the start. */
  readonly endNanos: bigint;
}
