/** What a member process prints: one JSON object a line, in the order in which it happened. */
import type { Arrival } from './checks.ts';

/** `atMs` as in Arrival. */
export type MemberEvent =
  | { readonly event: 'assigned'; readonly partitions: readonly number[]; readonly atMs: number }
  | { readonly event: 'revoked'; readonly partitions: readonly number[]; readonly atMs: number }
  | ({ readonly event: 'record' } & Omit<Arrival, 'member'>)
  | { readonly event: 'left'; readonly atMs: number }
  | { readonly event: 'failed'; readonly message: string };

/** Wall clock with a fraction of a millisecond; comparable between the processes of one machine. */
export function nowMs(): number {
  return performance.timeOrigin + performance.now();
}

export function formatEvent(event: MemberEvent): string {
  return `${JSON.stringify(event)}\n`;
}

/** Reads a line that formatEvent wrote, in a process of the same program. Throws an Error for anything else. */
export function parseEvent(line: string): MemberEvent {
  const value: unknown = JSON.parse(line);
  if (typeof value !== 'object' || value === null || !('event' in value)) throw new Error(`no event: ${line}`);
  return value as MemberEvent;
}
