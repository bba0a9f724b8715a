/** What a history of producers was made of, for reports. */
import type { HistoryEvent } from './history.ts';

export interface ProducerReport {
  readonly sessionCount: number;
  readonly sendCount: number;
  readonly ackedCount: number;
  readonly refusedCount: number;
  /** Told to the client, or open when it died. */
  readonly unknownCount: number;
  /** Of the sends, acknowledged as stored before: by a repeat that the client did not see. */
  readonly repeatedAckCount: number;
  readonly requestCount: number;
  /** Sends of requests beyond the first of each. */
  readonly requestRepeatCount: number;
  /** Of those, acknowledged with the place of the first copy. */
  readonly requestRepeatAckCount: number;
}

/** Sends are those without a request id; of sessions and of plain producers alike. */
export function reportProducers(history: readonly HistoryEvent[]): ProducerReport {
  const sessions = new Set<string>();
  const requests = new Set<string>();
  const counts = { send: 0, acked: 0, refused: 0, repeatedAck: 0, requestSend: 0, requestRepeatAck: 0 };
  for (const event of history) {
    if (event.f !== 'send') continue;
    const { type, session, requestId, duplicate } = event;
    if (requestId !== undefined) {
      requests.add(requestId);
      if (type === 'invoke') counts.requestSend += 1;
      if (type === 'ok' && duplicate === true) counts.requestRepeatAck += 1;
      continue;
    }
    if (session !== undefined) sessions.add(session);
    if (type === 'invoke') counts.send += 1;
    else if (type === 'ok') counts.acked += 1;
    else if (type === 'fail') counts.refused += 1;
    if (type === 'ok' && duplicate === true) counts.repeatedAck += 1;
  }
  return {
    sessionCount: sessions.size,
    sendCount: counts.send,
    ackedCount: counts.acked,
    refusedCount: counts.refused,
    unknownCount: counts.send - counts.acked - counts.refused,
    repeatedAckCount: counts.repeatedAck,
    requestCount: requests.size,
    requestRepeatCount: counts.requestSend - requests.size,
    requestRepeatAckCount: counts.requestRepeatAck,
  };
}
