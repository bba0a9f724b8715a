/** What the answer to a send means for a history. */
import type { SentRecord } from '@partita/client';
import { PartitaError } from '@partita/domain';
import { outcomeOf } from '@partita/rpc';
import { keyOf } from '../history.ts';
import type { SendEvent } from '../history.ts';

/** A refusal is certain only by its name; whatever else was thrown leaves the outcome unknown. */
export function outcomeOfSend(error: unknown): 'fail' | 'info' {
  return error instanceof PartitaError && outcomeOf(error) === 'rejected' ? 'fail' : 'info';
}

/** Where the records of one send are. */
export function placeOf(
  topic: string,
  sent: readonly SentRecord[],
): Pick<SendEvent, 'key' | 'offset' | 'epoch' | 'duplicate'> {
  const [first] = sent;
  if (first === undefined) return {};
  const offsets = sent.map(({ offset }) => Number(offset));
  return {
    key: keyOf(topic, first.partition),
    epoch: first.leaderEpoch,
    offset: offsets.length === 1 ? Number(first.offset) : offsets,
    ...(first.duplicate ? { duplicate: true } : {}),
  };
}
