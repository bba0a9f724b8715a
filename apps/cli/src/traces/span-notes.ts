/** What is told below a span: its error, its events, its attributes, its links, and how much of these is not there. */
import type { TraceAttribute, TraceEvent } from '@partita/protocol';
import { nanosText, printable } from './duration-text.ts';
import { nanosOf } from './span-tree.ts';
import type { SpanNode } from './span-tree.ts';

export interface SpanNote {
  readonly kind: 'error' | 'event' | 'attribute' | 'link' | 'dropped';
  readonly text: string;
}

/** In the order in which they are shown. Attributes, of events too, only when they are asked for. */
export function spanNotes({ span }: SpanNode, withAttributes: boolean): SpanNote[] {
  const notes: SpanNote[] = [];
  const note = (kind: SpanNote['kind'], text: string): void => void notes.push({ kind, text: printable(text) });
  if (span.error !== '') note('error', `! ${span.error}`);
  if (withAttributes) for (const attribute of span.attributes) note('attribute', attributeText(attribute));
  for (const event of span.events) {
    note('event', `${offsetText(event, nanosOf(span.startTime))} ${event.name}`);
    if (withAttributes) for (const attribute of event.attributes) note('attribute', `  ${attributeText(attribute)}`);
  }
  for (const link of span.links) note('link', `linked to ${link}`);
  const dropped = [
    counted(span.droppedAttributeCount, 'attribute'),
    counted(span.droppedEventCount, 'event'),
    counted(span.droppedLinkCount, 'link'),
  ].flat();
  if (dropped.length > 0) note('dropped', `left out: ${dropped.join(', ')}`);
  return notes;
}

/** `+1.2 ms`: since the span began. */
function offsetText({ time }: TraceEvent, startNanos: bigint): string {
  const nanos = Number(nanosOf(time) - startNanos);
  return nanos < 0 ? `-${nanosText(-nanos)}` : `+${nanosText(nanos)}`;
}

function attributeText({ name, value }: TraceAttribute): string {
  return `${name} = ${value}`;
}

function counted(count: number, what: string): string[] {
  if (count === 0) return [];
  return [`${count} ${what}${count === 1 ? '' : 's'}`];
}
