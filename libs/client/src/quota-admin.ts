/** Quotas: bytes a second of topics and of client ids. */
import { PAGE_SIZE_MAX } from '@partita/domain';
import { ClusterServiceService } from '@partita/protocol';
import type { Quota } from '@partita/protocol';
import { BalanceAdmin } from './balance-admin.ts';
import { refused } from './client-error.ts';
import type { ServiceCallOptions, ServiceCalls } from './service-calls.ts';

/** A quota to set, whole: a rate that is absent is removed. What it means to name both, one or neither is told at `Quota`. */
export interface QuotaChange {
  readonly clientId?: string | undefined;
  readonly topic?: string | undefined;
  readonly produceBytesPerSecond?: bigint | undefined;
  readonly consumeBytesPerSecond?: bigint | undefined;
}

export class QuotaAdmin extends BalanceAdmin {
  readonly #services: ServiceCalls;

  constructor(calls: ServiceCalls) {
    super(calls);
    this.#services = calls;
  }

  /**
   * Sets a quota, or without any rate removes it; with `validateOnly` only checks it. Rejects with INVALID_SETTING,
   * INVALID_TOPIC_NAME, LIMIT_EXCEEDED.
   */
  async updateQuota(change: QuotaChange, validateOnly = false, options?: ServiceCallOptions): Promise<Quota> {
    const { clientId = '', topic = '', produceBytesPerSecond, consumeBytesPerSecond } = change;
    const quota = { clientId, topic, produceBytesPerSecond, consumeBytesPerSecond };
    const method = ClusterServiceService.updateQuota;
    const answer = await this.#services.call('coordinator', method, { quota, validateOnly }, options);
    if (answer.quota !== undefined) return answer.quota;
    throw refused('INTERNAL', 'the coordinator answered without the quota');
  }

  /** By topic and client id, page by page. */
  async *listQuotas(): AsyncGenerator<Quota, void, undefined> {
    for (let pageToken = ''; ;) {
      const request = { pageSize: PAGE_SIZE_MAX, pageToken };
      const page = await this.#services.call('coordinator', ClusterServiceService.listQuotas, request);
      yield* page.quotas;
      pageToken = page.nextPageToken;
      if (pageToken === '') return;
    }
  }
}
