/**
 * The quotas as this gateway enforces them. What is for a client is shared evenly between the gateways, each of which sees a
 * part of the client's requests. A topic's rate is let through whole: it keeps what is far beyond it from the leaders, whose
 * buckets are the truth.
 */
import { QuotaBuckets, QuotaGate } from '@partita/domain';
import type { Clock, QuotaMeter, Timers } from '@partita/domain';
import type { RouteCache } from '@partita/client';
import { ServiceKind } from '@partita/protocol';
import type { InstanceQuotas } from '@partita/protocol';
import { quotaFromMessage } from '@partita/rpc';

export interface GatewayQuotasOptions {
  readonly routes: RouteCache;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly meter: QuotaMeter;
}

export class GatewayQuotas {
  readonly gate: QuotaGate;
  readonly #buckets: QuotaBuckets;

  constructor({ routes, clock, timers, meter }: GatewayQuotasOptions) {
    const share = () => 1 / gatewayCount(routes);
    this.#buckets = new QuotaBuckets('produce', (kind) => (kind === 'topic' ? 1 : share()));
    this.gate = new QuotaGate({ buckets: this.#buckets, clock, timers, meter });
  }

  /** They hold until others are heard of, whether or not a coordinator can be reached. */
  hear({ quotas }: InstanceQuotas): void {
    this.#buckets.set(quotas.map(quotaFromMessage));
  }
}

/** This one too, before anybody knows of it. */
function gatewayCount({ table }: RouteCache): number {
  let count = 0;
  for (const { service } of table.endpoints) if (service === ServiceKind.SERVICE_KIND_GATEWAY) count += 1;
  return Math.max(1, count);
}
