/**
 * The quotas of clients as this instance enforces them on what it sends: shared evenly between the instances of the service.
 * A topic's rate is the leaders' to keep, who see all of its readers.
 */
import { QuotaBrake, QuotaBuckets } from '@partita/domain';
import type { Clock } from '@partita/domain';
import type { RouteCache } from '@partita/client';
import { ServiceKind } from '@partita/protocol';
import type { InstanceQuotas } from '@partita/protocol';
import { quotaFromMessage } from '@partita/rpc';
import type { Metrics } from '@partita/telemetry';

export class MemberQuotas {
  readonly brake: QuotaBrake;
  readonly #buckets: QuotaBuckets;

  constructor(routes: RouteCache, clock: Clock, metrics: Metrics) {
    const throttled = metrics.histogram('partita.group.throttle.duration');
    this.#buckets = new QuotaBuckets('consume', () => 1 / instanceCount(routes));
    this.brake = new QuotaBrake(this.#buckets, clock, {
      delayed: (quota, _topic, delayMs) => throttled.of({ quota }).record(delayMs / 1000),
    });
  }

  /** They hold until others are heard of, whether or not a coordinator can be reached. */
  hear({ quotas }: InstanceQuotas): void {
    this.#buckets.set(quotas.map(quotaFromMessage).filter(({ clientId, topic }) => clientId !== '' || topic === ''));
  }
}

/** This one too, before anybody knows of it. */
function instanceCount({ table }: RouteCache): number {
  let count = 0;
  for (const { service } of table.endpoints) if (service === ServiceKind.SERVICE_KIND_CONSUMER_GROUP) count += 1;
  return Math.max(1, count);
}
