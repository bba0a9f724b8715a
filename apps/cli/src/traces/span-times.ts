/**
 * The spans of a trace with the times that the critical path reckons with. Spans come from several processes, whose clocks
 * differ, and some of them nobody waits for:
 *
 * - A call waits for what it called. So the child of a CLIENT or PRODUCER span that another service made lies within its
 *   parent, and is moved there with everything below it.
 * - A leader's `commit` waits for followers, whose `replicate` spans are its siblings. It counts from the end of the one
 *   that decided; nobody waits for the other followers, nor for a commit that comes after its append was answered.
 */
import type { SpanNode } from './span-tree.ts';

export interface TimedSpan {
  readonly node: SpanNode;
  readonly parent: TimedSpan | undefined;
  readonly children: TimedSpan[];
  /** Nanoseconds since the trace began. */
  from: number;
  to: number;
  /** True = its end holds nobody up. */
  loose: boolean;
}

const WAITS_FOR_CALLED: ReadonlySet<string> = new Set(['client', 'producer']);
/** OpenTelemetry's clock of a span begins at a whole millisecond, so spans of one process are off by up to one each. */
export const CLOCK_NANOS = 2_000_000;

/** In the order of the nodes, which is depth first. */
export function timedSpans(nodes: readonly SpanNode[]): TimedSpan[] {
  const spans: TimedSpan[] = [];
  /** The last one of each depth: the parent of the next one below. */
  const above: TimedSpan[] = [];
  /** By how much each was moved, nanoseconds. */
  const moved = new Map<TimedSpan, number>();
  for (const node of nodes) {
    const parent = node.depth === 0 ? undefined : above[node.depth - 1];
    const from = node.startNanos + (parent === undefined ? 0 : (moved.get(parent) ?? 0));
    const span: TimedSpan = { node, parent, children: [], from, to: from + node.durationNanos, loose: false };
    moveInto(span);
    moved.set(span, span.from - node.startNanos);
    parent?.children.push(span);
    above[node.depth] = span;
    spans.push(span);
  }
  for (const span of spans) decideReplication(span.children);
  for (const span of spans) span.loose ||= span.parent?.loose === true || isLateCommitOfOffsets(span);
  return spans;
}

/** Moves the span of a called service as little as may be, and cuts what is longer than the call. */
function moveInto(span: TimedSpan): void {
  const { node, parent } = span;
  if (parent === undefined || !isCall(parent.node, node)) return;
  const length = Math.min(span.to - span.from, parent.to - parent.from);
  span.from = Math.min(Math.max(span.from, parent.from), parent.to - length);
  span.to = span.from + length;
}

function isCall({ span: caller }: SpanNode, { span: called }: SpanNode): boolean {
  return WAITS_FOR_CALLED.has(caller.kind) && called.kind !== 'consumer' && caller.serviceName !== called.serviceName;
}

/** Of siblings: which follower a commit waited for. */
function decideReplication(siblings: readonly TimedSpan[]): void {
  const followers = siblings.filter(({ node }) => node.span.name.startsWith('replicate '));
  if (followers.length === 0) return;
  for (const follower of followers) follower.loose = true;
  const commit = siblings.find(({ node }) => node.span.name.startsWith('commit '));
  if (commit?.parent !== undefined && commit.to > commit.parent.to + CLOCK_NANOS) {
    commit.loose = true;
    return;
  }
  // One replica, the leader itself, was enough.
  if (commit === undefined || attributeOf(commit.node, 'partita.replicas_acked') === '1') return;
  const byEnd = followers.toSorted((left, right) => left.to - right.to);
  // When all seem to have ended later, clocks differ, and it was the first.
  const decider = byEnd.findLast(({ to }) => to <= commit.to) ?? byEnd[0];
  if (decider === undefined) return;
  const late = Math.max(0, decider.to - commit.to);
  decider.from -= late;
  decider.to -= late;
  decider.loose = false;
  commit.from = Math.max(commit.from, decider.to);
}

/** The consumer commits now and then, behind the records' processing. */
function isLateCommitOfOffsets({ node, parent, to }: TimedSpan): boolean {
  return parent?.node.span.kind === 'consumer' && node.span.name.startsWith('commit offsets') && to > parent.to;
}

/** Text of an attribute; undefined = it has none. */
export function attributeOf({ span }: SpanNode, name: string): string | undefined {
  return span.attributes.find((attribute) => attribute.name === name)?.value;
}
