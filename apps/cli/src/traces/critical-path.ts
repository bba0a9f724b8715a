/**
 * The critical path of a trace: what its end waited for, walked from the end back to the start. At any moment exactly one
 * span is on it, or none: the deepest one that ran and that was waited for. Pieces never overlap, so that they add up to
 * the length of the path at most.
 */
import type { SpanNode } from './span-tree.ts';
import { CLOCK_NANOS, timedSpans } from './span-times.ts';
import type { TimedSpan } from './span-times.ts';

/** Time on the path, nanoseconds. */
export interface PathPart {
  /** `own` = the span ran by itself; `before` = nothing ran, and then this span began. */
  readonly kind: 'own' | 'before';
  readonly node: SpanNode;
  readonly nanos: number;
}

export interface CriticalPath {
  /** Nanoseconds from the start of the trace to the end of the path. */
  readonly nanos: number;
  /** One of each kind for a span, longest first. */
  readonly parts: readonly PathPart[];
}

/** A span, or the whole trace, that is walked back from `at` to `floor`. */
interface Walk {
  readonly span: TimedSpan | undefined;
  readonly floor: number;
  /** True = from its end, for which it waited; false = from what began while it ran. */
  readonly isWhole: boolean;
  readonly left: Set<TimedSpan>;
  at: number;
  /** Where the time above `at` begins when nothing ran there; for the whole trace. */
  follower: TimedSpan | undefined;
}

export function criticalPath(nodes: readonly SpanNode[]): CriticalPath {
  const spans = timedSpans(nodes);
  const tops = spans.filter(({ parent }) => parent === undefined);
  const last = lastOf(spans);
  if (last === undefined) return { nanos: 0, parts: [] };
  const first = Math.min(...tops.map(({ from }) => from), last.from);
  const path = new Path();
  let at = path.walk(last, last.to, first);
  let below = last;
  for (let above = last.parent; above !== undefined; below = above, above = above.parent) {
    // It had ended when what it began started: the record lay there.
    if (above.to < at) path.add('before', below, at - Math.max(above.to, first));
    at = path.walk(above, Math.min(at, Math.max(above.to, first)), first);
  }
  path.walkTops(tops, below, at, first);
  return { nanos: last.to - first, parts: path.parts() };
}

class Path {
  readonly #nanos = { own: new Map<TimedSpan, number>(), before: new Map<TimedSpan, number>() };

  add(kind: PathPart['kind'], span: TimedSpan, nanos: number): void {
    if (nanos > 0) this.#nanos[kind].set(span, (this.#nanos[kind].get(span) ?? 0) + nanos);
  }

  parts(): PathPart[] {
    const parts = (['own', 'before'] as const).flatMap((kind) =>
      [...this.#nanos[kind]].map(([{ node }, nanos]) => ({ kind, node, nanos })),
    );
    return parts.sort((left, right) => right.nanos - left.nanos);
  }

  /** Walks back from `at` to where the span began, or to `floor`. Returns where that was. */
  walk(span: TimedSpan, at: number, floor: number): number {
    return this.#walk(walkOf(span, at, floor));
  }

  /** What ran before `first`, which no known span began: the trace has several tops. */
  walkTops(tops: readonly TimedSpan[], first: TimedSpan, at: number, floor: number): void {
    this.#walk({ span: undefined, at, floor, isWhole: false, left: new Set(tops), follower: first });
  }

  /** Not by recursion: what came over the network decides how deep it is. */
  #walk(start: Walk): number {
    const walks = [start];
    let end = start.at;
    for (let walk = walks.at(-1); walk !== undefined; walk = walks.at(-1)) {
      const child = waitedFor(walk);
      const until = child === undefined ? walk.floor : Math.min(child.to, walk.at);
      this.#addOwn(walk, walk.at - until);
      walk.at = Math.min(walk.at, until);
      if (child === undefined) {
        walks.pop();
        end = Math.min(walk.at, walk.floor);
        const outer = walks.at(-1);
        if (outer !== undefined) outer.at = end;
        continue;
      }
      walk.left.delete(child);
      walk.follower &&= child;
      walks.push(walkOf(child, until, walk.floor));
    }
    return end;
  }

  #addOwn({ span, follower }: Walk, nanos: number): void {
    if (span !== undefined) this.add('own', span, nanos);
    else if (follower !== undefined) this.add('before', follower, nanos);
  }
}

function walkOf(span: TimedSpan, at: number, floor: number): Walk {
  const left = new Set(span.children);
  return { span, at, floor: Math.max(span.from, floor), isWhole: at === span.to, left, follower: undefined };
}

/** Of what ran before `at`, the child that ended last; of several that ran then, the one that began first. */
function waitedFor({ span, at, floor, isWhole, left }: Walk): TimedSpan | undefined {
  let found: TimedSpan | undefined;
  for (const child of left) {
    if (child.from >= at || Math.min(child.to, at) <= floor || !isWaitedFor(child, isWhole ? span : undefined))
      continue;
    const [end, endFound] = [Math.min(child.to, at), Math.min(found?.to ?? -Infinity, at)];
    if (found === undefined || end > endFound || (end === endFound && child.from < found.from)) found = child;
  }
  return found;
}

/** A span that ends with a child still running did not wait for it; one clock may differ from another's, though. */
function isWaitedFor(child: TimedSpan, parent: TimedSpan | undefined): boolean {
  if (child.loose) return false;
  if (parent === undefined || child.to <= parent.to) return true;
  if (child.node.span.kind === 'consumer') return false;
  return child.node.span.serviceName !== parent.node.span.serviceName || child.to - parent.to <= CLOCK_NANOS;
}

/** The end of the trace, as somebody waited for it; of spans that end together the outer one. */
function lastOf(spans: readonly TimedSpan[]): TimedSpan | undefined {
  let last: TimedSpan | undefined;
  for (const span of spans) if (!span.loose && (last === undefined || span.to > last.to)) last = span;
  return last;
}
