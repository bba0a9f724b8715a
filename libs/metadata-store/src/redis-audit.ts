/** Reading the audit trail from Redis: a stream that holds other notes too. */
import { PartitaError } from '@partita/domain';
import type { AuditEntry, AuditPage } from './audit-entry.ts';
import { decodeAuditEntry } from './audit-entry.ts';
import type { MetadataKeys } from './keys.ts';
import type { RedisConnection } from './redis-connection.ts';

const CHUNK_COUNT = 500;
const STREAM_ID = /^\d{1,20}-\d{1,20}$/;

/** INVALID_PAGE_TOKEN when `after` is not what a page answered. */
export async function readAuditTrail(
  { connection, keys }: { readonly connection: RedisConnection; readonly keys: MetadataKeys },
  count: number,
  after: string | undefined,
): Promise<AuditPage> {
  if (after !== undefined && !STREAM_ID.test(after))
    throw new PartitaError('INVALID_PAGE_TOKEN', 'page_token is not one of the audit trail: begin again without it');
  const entries: AuditEntry[] = [];
  for (let before = after; ;) {
    const end = before === undefined ? '+' : `(${before}`;
    const read = await connection.run((redis) => redis.xrevrange(keys.ops, end, '-', 'COUNT', CHUNK_COUNT));
    for (const [id, fields] of read) {
      before = id;
      const entry = decodeAuditEntry(keys.ops, fields);
      if (entry !== undefined && entries.push(entry) === count) return { entries, next: id };
    }
    if (read.length < CHUNK_COUNT) return { entries, next: undefined };
  }
}
