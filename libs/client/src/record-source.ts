/** Where a consumer's records come from: the group's service, or the leaders themselves. */
import type { ConsumeCredit, ConsumeResponse, DeliveryForm } from '@partita/protocol';
import type { HeldPartition } from './held-partition.ts';

export interface RecordSource {
  readonly form: DeliveryForm;
  /** The credit that opens a stream. */
  readonly openingCredit: ConsumeCredit;
  /** Takes a message that is about records; what a handler can be given is in the buffer afterwards. */
  onMessage(message: NonNullable<ConsumeResponse['message']>): void;
  /** Delivery of a partition begins on this stream, at its `place`. */
  begin(held: HeldPartition): void;
  /** The position was moved by the member, from outside the source: go on at its `place`. */
  move(held: HeldPartition): void;
  /** The position was moved by the group: what waits is void. */
  moved(held: HeldPartition): void;
  setPaused(held: HeldPartition): void;
  /** The partition is to be given up, or gone. */
  end(held: HeldPartition): void;
  /** Records were taken from the buffer: there may be room for more. */
  taken(): void;
  /** The stream to the group is gone, and with it all deliveries. */
  streamLost(): void;
  close(): void;
}
