/** A byte rate quota, and which of several binds a request. What the fields mean is told at `Quota` in the proto. */
export interface Quota {
  /** Empty = any. */
  readonly clientId: string;
  /** Empty = any. */
  readonly topic: string;
  /** Undefined = it says nothing of producing. */
  readonly produceBytesPerSecond: number | undefined;
  /** Undefined = it says nothing of consuming. */
  readonly consumeBytesPerSecond: number | undefined;
}

/** What a rate is for. */
export type QuotaUse = 'produce' | 'consume';

/** Whom a quota binds: a topic, a client, a client on a topic, or each client without a quota of its own. */
export const QUOTA_KINDS = ['topic', 'client', 'client_topic', 'default'] as const;
export type QuotaKind = (typeof QUOTA_KINDS)[number];

/** A rate and whom it binds. */
export interface QuotaRate {
  readonly kind: QuotaKind;
  readonly bytesPerSecond: number;
}

/**
 * Client ids under which the services themselves append and fetch for their clients: leaders do not hold them to a client's
 * quota, since the service has. Whoever calls itself so escapes it, as does whoever takes a new name: ids are not proven.
 */
export const GATEWAY_CLIENT_ID = 'partita-producer-gateway';
export const CONSUMER_GROUP_CLIENT_ID = 'partita-consumer-group';
const SERVICE_CLIENT_IDS: ReadonlySet<string> = new Set([GATEWAY_CLIENT_ID, CONSUMER_GROUP_CLIENT_ID]);

export function isServiceClientId(clientId: string): boolean {
  return SERVICE_CLIENT_IDS.has(clientId);
}

/** The rates of one use, ready to be looked up. */
export class QuotaRates {
  readonly #topics = new Map<string, number>();
  readonly #clients = new Map<string, number>();
  readonly #clientTopics = new Map<string, number>();
  #default: number | undefined;

  constructor(quotas: readonly Quota[], use: QuotaUse) {
    for (const { clientId, topic, produceBytesPerSecond, consumeBytesPerSecond } of quotas) {
      const rate = use === 'produce' ? produceBytesPerSecond : consumeBytesPerSecond;
      if (rate === undefined) continue;
      if (clientId !== '' && topic !== '') this.#clientTopics.set(pair(clientId, topic), rate);
      else if (clientId !== '') this.#clients.set(clientId, rate);
      else if (topic !== '') this.#topics.set(topic, rate);
      else this.#default = rate;
    }
  }

  get isEmpty(): boolean {
    return this.#topics.size + this.#clients.size + this.#clientTopics.size === 0 && this.#default === undefined;
  }

  ofTopic(topic: string): QuotaRate | undefined {
    const bytesPerSecond = this.#topics.get(topic);
    return bytesPerSecond === undefined ? undefined : { kind: 'topic', bytesPerSecond };
  }

  /** The most specific: client and topic, then client, then the default. */
  ofClient(clientId: string, topic: string): QuotaRate | undefined {
    const both = this.#clientTopics.size === 0 ? undefined : this.#clientTopics.get(pair(clientId, topic));
    if (both !== undefined) return { kind: 'client_topic', bytesPerSecond: both };
    const own = this.#clients.get(clientId);
    if (own !== undefined) return { kind: 'client', bytesPerSecond: own };
    return this.#default === undefined ? undefined : { kind: 'default', bytesPerSecond: this.#default };
  }
}

function pair(clientId: string, topic: string): string {
  return `${topic}\0${clientId}`;
}
