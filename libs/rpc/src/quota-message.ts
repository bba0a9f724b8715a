/** Quotas as they are on the wire, and as they are reckoned with. */
import type { Quota } from '@partita/domain';
import type { Quota as QuotaMessage } from '@partita/protocol';

export function quotaMessage({ clientId, topic, produceBytesPerSecond, consumeBytesPerSecond }: Quota): QuotaMessage {
  return {
    clientId,
    topic,
    produceBytesPerSecond: produceBytesPerSecond === undefined ? undefined : BigInt(produceBytesPerSecond),
    consumeBytesPerSecond: consumeBytesPerSecond === undefined ? undefined : BigInt(consumeBytesPerSecond),
  };
}

/** Rates beyond 2^53 are not exact. */
export function quotaFromMessage(message: QuotaMessage): Quota {
  const { clientId, topic, produceBytesPerSecond, consumeBytesPerSecond } = message;
  return {
    clientId,
    topic,
    produceBytesPerSecond: produceBytesPerSecond === undefined ? undefined : Number(produceBytesPerSecond),
    consumeBytesPerSecond: consumeBytesPerSecond === undefined ? undefined : Number(consumeBytesPerSecond),
  };
}
