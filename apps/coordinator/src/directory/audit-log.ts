/**
 * What was changed by whom, for operators. Written to the metadata store in the order in which it happened; what the store does
 * not take waits here, so an entry may come late, and is lost only with this process.
 */
import {
  METADATA_AUDIT_COUNT_MAX,
  METADATA_CHUNK_COUNT_MAX,
  PAGE_SIZE_DEFAULT,
  PAGE_SIZE_MAX,
  PartitaError,
} from '@partita/domain';
import type { Clock } from '@partita/domain';
import type { AuditEntry as StoredEntry, MetadataStore } from '@partita/metadata-store';
import type { ListAuditEntriesRequest, ListAuditEntriesResponse } from '@partita/protocol';
import type { Logger } from '@partita/runtime';
import type { Lease } from './lease.ts';
import { timestamp } from '../topics/topic-messages.ts';

export interface AuditLogOptions {
  readonly store: MetadataStore;
  readonly lease: Lease;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** What is told of an operation, small and as JSON. */
export type AuditDetails = Readonly<Record<string, string | number | boolean | undefined>>;

export class AuditLog {
  readonly #options: AuditLogOptions;
  #waiting: StoredEntry[] = [];
  #writing = false;

  constructor(options: AuditLogOptions) {
    this.#options = options;
    options.lease.onChange(() => this.run());
  }

  /** `clientId`: who asked; empty = the coordinator by itself. */
  note(operation: string, resource: string, clientId: string, details: AuditDetails): void {
    const timeMs = Math.round(this.#options.clock.wallMs());
    this.#waiting.push({ operation, resource, clientId, timeMs, details: JSON.stringify(details) });
    if (this.#waiting.length > METADATA_AUDIT_COUNT_MAX) this.#waiting.shift();
    // Many leaders change in one step: they are written together.
    setImmediate(() => this.run());
  }

  /** Writes what waits, if the store takes it now. */
  run(): void {
    if (this.#writing || this.#waiting.length === 0 || this.#options.lease.anchoredToken() === undefined) return;
    this.#writing = true;
    void this.#write()
      .catch((error: unknown) => this.#options.logger.debug({ err: error }, 'the audit trail will be written later'))
      .finally(() => (this.#writing = false));
  }

  async #write(): Promise<void> {
    const { store, lease } = this.#options;
    for (let token = lease.anchoredToken(); token !== undefined; token = lease.anchoredToken()) {
      const chunk = this.#waiting.slice(0, METADATA_CHUNK_COUNT_MAX);
      if (chunk.length === 0) return;
      const outcome = await store.appendAudit(token, chunk);
      if (outcome.status === 'rolled_back') {
        lease.lostWrites(outcome);
        return;
      }
      const written = new Set(chunk);
      this.#waiting = this.#waiting.filter((entry) => !written.has(entry));
    }
  }

  async list({ pageSize, pageToken }: ListAuditEntriesRequest): Promise<ListAuditEntriesResponse> {
    if (pageSize < 0)
      throw new PartitaError('INVALID_REQUEST', 'page_size must be 0 (default) or more', { field: 'page_size' });
    const count = Math.min(pageSize || PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX);
    const page = await this.#options.store.readAudit(count, pageToken === '' ? undefined : pageToken);
    const entries = page.entries.map(({ operation, resource, clientId, timeMs, details }) => ({
      time: timestamp(timeMs),
      operation,
      resource,
      clientId,
      detailsJson: details,
    }));
    return { entries, nextPageToken: page.next ?? '' };
  }
}
