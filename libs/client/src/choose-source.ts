/** The source that a consumer's options ask for. */
import type { ConsumeEvent } from '@partita/protocol';
import type { ConsumerOptions } from './consumer-options.ts';
import type { ConsumerParts } from './consumer-parts.ts';
import type { MemberMessage } from './consume-link.ts';
import type { DeliveryBuffer } from './delivery-buffer.ts';
import { DirectRecords } from './direct-records.ts';
import type { HeldPartitions } from './held-partitions.ts';
import { PushedRecords } from './pushed-records.ts';
import type { RecordSource } from './record-source.ts';

export interface SourceUser {
  readonly options: ConsumerOptions;
  readonly held: HeldPartitions;
  readonly buffer: DeliveryBuffer;
  send(message: MemberMessage): void;
  /** There is something in the buffer. */
  onNews(): void;
  onEvent(event: ConsumeEvent): void;
  onError(error: unknown): void;
}

/** From the leaders where the options say so, else from the group's service. */
export function chooseSource(parts: ConsumerParts, user: SourceUser): RecordSource {
  if (user.options.delivery !== 'direct') return new PushedRecords(user);
  const { pool, listOffset, tracer } = parts;
  return new DirectRecords({ ...user, pool, routes: parts.routes(), listOffset, tracer });
}
