/** What is known of appends outside the logs. */
import type { ProducerSequence } from '@partita/domain';

/** An append, or one attempt of it, as its sender knows it. */
export interface SentAppend {
  readonly appendId: number;
  readonly acks: 'all' | 'leader';
  readonly producer: ProducerSequence | undefined;
}

/** One that was acknowledged as committed. */
export interface AckedAppend {
  readonly appendId: number;
  readonly offset: bigint;
}
