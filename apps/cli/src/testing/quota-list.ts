/** The part of a small cluster that keeps quotas. */
import { PartitaError } from '@partita/domain';
import type { Quota, UpdateQuotaRequest } from '@partita/protocol';
import { unary } from '@partita/rpc/server';

export class QuotaList {
  quotas: Quota[] = [];

  methods() {
    return {
      updateQuota: unary(({ quota, validateOnly }: UpdateQuotaRequest) => {
        if (quota === undefined) throw new PartitaError('INVALID_REQUEST', 'quota is required');
        if (quota.topic.startsWith('__')) throw new PartitaError('INVALID_SETTING', "Partita's own");
        if (!validateOnly) this.#put(quota);
        return { quota };
      }),
      // A page each, so that whoever lists must go on.
      listQuotas: unary(({ pageToken }: { pageToken: string }) => {
        const at = Number(pageToken);
        return {
          quotas: this.quotas.slice(at, at + 1),
          nextPageToken: at + 1 < this.quotas.length ? String(at + 1) : '',
        };
      }),
    };
  }

  #put(quota: Quota): void {
    const { topic, clientId, produceBytesPerSecond: produce, consumeBytesPerSecond: consume } = quota;
    this.quotas = this.quotas.filter((other) => other.topic !== topic || other.clientId !== clientId);
    if (produce !== undefined || consume !== undefined) this.quotas.push(quota);
  }
}
