/**
 * How long clients had to wait at each change of a leader: from the first send that only the next leader acknowledged, to its
 * first acknowledgement. Whatever held the send up is in it: queueing, refusals, retries and their pauses.
 */
import type { HistoryEvent, SendEvent } from './history.ts';

export interface LeaderlessTime {
  /** `<topic>-<partition>`. */
  readonly key: string;
  /** Of the next leader. */
  readonly epoch: number;
  readonly ms: number;
}

interface Epoch {
  firstSentMs: number;
  firstAckMs: number;
}

/** One for each change of a leader that some send met, in no order. */
export function leaderlessTimes(events: readonly HistoryEvent[]): LeaderlessTime[] {
  const sentMs = new Map<number, number>();
  const epochs = new Map<string, Map<number, Epoch>>();
  for (const event of events) {
    if (event.f !== 'send') continue;
    if (event.type === 'invoke') sentMs.set(event.op, event.tMonoMs);
    // A repeat is answered with the epoch of its first copy.
    else if (event.type === 'ok' && event.duplicate !== true) note(epochs, event, sentMs.get(event.op) ?? 0);
  }
  return [...epochs].flatMap(([key, ofKey]) => {
    const [, ...later] = [...ofKey].toSorted(([a], [b]) => a - b);
    return later.map(([epoch, { firstSentMs, firstAckMs }]) => ({ key, epoch, ms: firstAckMs - firstSentMs }));
  });
}

function note(epochs: Map<string, Map<number, Epoch>>, { key, epoch, tMonoMs }: SendEvent, sentMs: number): void {
  if (key === undefined || epoch === undefined) return;
  const ofKey = epochs.get(key) ?? new Map<number, Epoch>();
  epochs.set(key, ofKey);
  const known = ofKey.get(epoch) ?? { firstSentMs: Infinity, firstAckMs: Infinity };
  ofKey.set(epoch, {
    firstSentMs: Math.min(known.firstSentMs, sentMs),
    firstAckMs: Math.min(known.firstAckMs, tMonoMs),
  });
}
