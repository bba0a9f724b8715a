/** The part of a trace that took the most time of its critical path, in words: where to look first. */
import { criticalPath } from './critical-path.ts';
import type { PathPart } from './critical-path.ts';
import { nanosText, printable } from './duration-text.ts';
import type { SpanNode } from './span-tree.ts';
import { attributeOf } from './span-times.ts';

export interface SlowPart extends PathPart {
  /** Length of the critical path, nanoseconds. */
  readonly pathNanos: number;
  /** Of the path, 0 to 1. */
  readonly share: number;
  /** Instance for a broker (`broker-2`), else the service. */
  readonly who: string;
  readonly topic: string | undefined;
  readonly partition: string | undefined;
}

const SERVICE_PREFIX = 'partita-';

export interface SlowParts {
  /** The span that took the most time of the path by itself; undefined for a trace without length. */
  readonly slowest: SlowPart | undefined;
  /** The longest time in which nothing ran; undefined when the slowest span took longer. */
  readonly wait: SlowPart | undefined;
  /** All of the path, longest first. */
  readonly path: readonly PathPart[];
}

export function slowParts(nodes: readonly SpanNode[]): SlowParts {
  const { nanos: pathNanos, parts } = criticalPath(nodes);
  const described = (part: PathPart | undefined): SlowPart | undefined =>
    part === undefined ? undefined : describedPart(part, pathNanos, nodes);
  return {
    slowest: described(parts.find(({ kind }) => kind === 'own')),
    wait: described(parts[0]?.kind === 'before' ? parts[0] : undefined),
    path: parts,
  };
}

function describedPart(part: PathPart, pathNanos: number, nodes: readonly SpanNode[]): SlowPart {
  const line = lineOf(part.node, nodes);
  return {
    ...part,
    pathNanos,
    share: part.nanos / pathNanos,
    who: whoOf(line),
    topic: nearest(line, 'messaging.destination.name'),
    partition: nearest(line, 'messaging.destination.partition.id'),
  };
}

/**
 * `fsync of broker-2 (orders/3), 41.2 ms of 48.9 ms (84 %)`; `(partition 3)` for a span whose name has the topic; for a wait
 * `nothing ran before receive orders of …`.
 */
export function slowPartText(part: SlowPart): string {
  const { kind, node, nanos, pathNanos, share, who, topic, partition } = part;
  const span = `${kind === 'before' ? 'nothing ran before ' : ''}${node.span.name} of ${who}`;
  const hasTopic = topic === undefined || node.span.name.split(' ').includes(topic);
  const place = partition === undefined ? '' : ` (${hasTopic ? 'partition ' : `${topic}/`}${partition})`;
  const percent = `${Math.round(share * 100)} %`;
  return printable(`${span}${place}, ${nanosText(nanos)} of ${nanosText(pathNanos)} (${percent})`);
}

/** The span, and above it the spans that the same process made for the same work. */
function lineOf(of: SpanNode, nodes: readonly SpanNode[]): SpanNode[] {
  const { serviceName, serviceInstance } = of.span;
  const line = [of];
  let { depth } = of;
  for (let index = nodes.indexOf(of) - 1; index >= 0 && depth > 0; index -= 1) {
    const node = nodes[index];
    if (node === undefined || node.depth >= depth) continue;
    if (node.span.serviceName !== serviceName || node.span.serviceInstance !== serviceInstance) break;
    line.push(node);
    depth = node.depth;
  }
  return line;
}

function nearest(line: readonly SpanNode[], name: string): string | undefined {
  for (const node of line) {
    const value = attributeOf(node, name);
    if (value !== undefined && value !== '') return value;
  }
  return undefined;
}

/** A broker's instance is its id. */
function whoOf(line: readonly SpanNode[]): string {
  const { serviceName = '', serviceInstance = '' } = line[0]?.span ?? {};
  if (serviceName === `${SERVICE_PREFIX}broker`) {
    const id = /^\d+$/.test(serviceInstance) ? serviceInstance : nearest(line, 'partita.broker.id');
    return id === undefined ? serviceName : `broker-${id}`;
  }
  return serviceName === '' ? 'an unnamed service' : serviceName;
}
