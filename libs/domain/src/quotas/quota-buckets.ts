/**
 * The buckets of one use in one process, made as clients come. A process enforces its share of a quota: a broker by the
 * partitions that it leads, a gateway by how many gateways there are, so that together they let no more through.
 */
import { QUOTA_BUCKET_COUNT_MAX } from '../limits.ts';
import { ByteBucket } from './byte-bucket.ts';
import { isServiceClientId, QuotaRates } from './quota.ts';
import type { Quota, QuotaKind, QuotaRate, QuotaUse } from './quota.ts';

/** A bucket and whom it binds. */
export interface BoundBucket {
  readonly kind: QuotaKind;
  /** For people: `topic:orders`, `client:loader`. */
  readonly name: string;
  /** Of the whole quota, not of the share. */
  bytesPerSecond: number;
  readonly bucket: ByteBucket;
  /** Monotonic milliseconds of the last look at the share. */
  sharedAtMs: number;
}

/** The part of a quota that this process lets through: above 0, at most 1. */
export type QuotaShare = (kind: QuotaKind, topic: string) => number;

/** Leaders move and gateways come and go: how often shares are looked at. */
const SHARE_MS = 1000;
/** Buckets that are looked at for one that may be forgotten. */
const FORGET_COUNT_MAX = 32;
const NONE: readonly BoundBucket[] = [];

export class QuotaBuckets {
  readonly #use: QuotaUse;
  readonly #share: QuotaShare;
  #rates: QuotaRates;
  #isOn = false;
  readonly #buckets = new Map<string, BoundBucket>();

  constructor(use: QuotaUse, share: QuotaShare) {
    this.#use = use;
    this.#share = share;
    this.#rates = new QuotaRates([], use);
  }

  /** False = no quota says anything of this use. */
  get isOn(): boolean {
    return this.#isOn;
  }

  /** Buckets whose quota has another rate now go on as they are; the rate is taken up at their next use. */
  set(quotas: readonly Quota[]): void {
    this.#rates = new QuotaRates(quotas, this.#use);
    this.#isOn = !this.#rates.isEmpty;
    if (!this.#isOn) this.#buckets.clear();
  }

  /** Those that bind, at most two. A service's own client id is bound by the topic's only. */
  of(clientId: string, topic: string, nowMs: number): readonly BoundBucket[] {
    if (!this.#isOn) return NONE;
    const topicRate = this.#rates.ofTopic(topic);
    const clientRate = isServiceClientId(clientId) ? undefined : this.#rates.ofClient(clientId, topic);
    if (topicRate === undefined && clientRate === undefined) return NONE;
    const bound: BoundBucket[] = [];
    if (topicRate !== undefined) bound.push(this.#bucket(`topic:${topic}`, topicRate, topic, nowMs));
    if (clientRate !== undefined) {
      const isPair = clientRate.kind === 'client_topic';
      const name = isPair ? `client:${clientId},topic:${topic}` : `client:${clientId}`;
      bound.push(this.#bucket(name, clientRate, topic, nowMs));
    }
    return bound;
  }

  #bucket(name: string, { kind, bytesPerSecond }: QuotaRate, topic: string, nowMs: number): BoundBucket {
    const key = `${kind}\0${name}`;
    let bound = this.#buckets.get(key);
    if (bound === undefined) {
      if (this.#buckets.size >= QUOTA_BUCKET_COUNT_MAX) this.#forgetOne(nowMs);
      const bucket = new ByteBucket(bytesPerSecond * this.#share(kind, topic), nowMs);
      bound = { kind, name, bytesPerSecond, bucket, sharedAtMs: nowMs };
      this.#buckets.set(key, bound);
    } else if (bound.bytesPerSecond !== bytesPerSecond || nowMs - bound.sharedAtMs >= SHARE_MS) {
      const rate = bytesPerSecond * this.#share(kind, topic);
      if (rate !== bound.bucket.bytesPerSecond) bound.bucket.setRate(rate, nowMs);
      bound.bytesPerSecond = bytesPerSecond;
      bound.sharedAtMs = nowMs;
    }
    return bound;
  }

  /** The first full one of the oldest, else the oldest: that client begins anew with a second's worth. */
  #forgetOne(nowMs: number): void {
    let oldest: string | undefined;
    let looked = 0;
    for (const [key, { bucket }] of this.#buckets) {
      oldest ??= key;
      if (bucket.isFull(nowMs)) return void this.#buckets.delete(key);
      looked += 1;
      if (looked >= FORGET_COUNT_MAX) break;
    }
    if (oldest !== undefined) this.#buckets.delete(oldest);
  }
}
