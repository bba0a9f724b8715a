/**
 * The coordinator's lease: takes it when it is free, renews it, and gives it back. One that starts does not wait for the lease
 * of the process that had its address before and was killed: that one is gone, or nobody could reach it under this address.
 *
 * Being `writable` means: the lease is held, the directory is what this process believes (directory-anchor.ts), and the store
 * answers.
 */
import { LEASE_RENEW_MS, LEASE_TTL_MS, LeaseState } from '@partita/cluster';
import type { LeaseStatus } from '@partita/cluster';
import { PartitaError } from '@partita/domain';
import type { Clock, Random } from '@partita/domain';
import { isDirectoryDamage } from '@partita/metadata-store';
import type { LeaseHolder, LeaseToken, MetadataStore, RolledBack } from '@partita/metadata-store';
import type { Logger, StateLines } from '@partita/runtime';
import type { ClusterModel } from '../cluster-model.ts';
import { DirectoryAnchor } from './directory-anchor.ts';

export interface LeaseOptions {
  readonly store: MetadataStore;
  readonly model: ClusterModel;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly lines: StateLines;
  readonly runId: string;
  /** Public address of this coordinator, told to the others. */
  readonly url: () => string;
  readonly expectedBrokers: number;
  /** True = brokers that are only known by hearsay are not waited for. */
  readonly rebuildIncomplete: boolean;
  /** How often the directory is read back; Infinity = never. */
  readonly checkMs: number;
  /** The store holds another cluster's data: this process must not go on. */
  readonly onWrongCluster: (error: PartitaError) => void;
}

export class Lease {
  readonly #options: LeaseOptions;
  readonly #state = new LeaseState();
  readonly #listeners = new Set<() => void>();
  readonly #rewritingListeners: ((token: LeaseToken | undefined) => void)[] = [];
  readonly #anchor: DirectoryAnchor;
  #token: LeaseToken | undefined;
  /** Number of the last lease that was held. */
  #lastNumber = 0;
  #heardOtherAtMs = -Infinity;
  /** True = the store refused a write for another holder of the lease: nothing is decided until the store was asked who has it. */
  #isContested = false;
  /** Why the store did not take what it was last asked for; undefined = it did. */
  #failure: PartitaError | undefined;
  #ticking: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;
  /** True = woken while a step was under way: there is another one at once. */
  #again = false;
  #takenCount = 0;
  #lostCount = 0;
  #told = '';

  constructor(options: LeaseOptions) {
    this.#options = options;
    this.#anchor = new DirectoryAnchor({
      ...options,
      onSuspect: () => this.#state.storeLostWrites(),
      onRestored: () => this.#state.storeRestored(),
      onRewriting: (token) => this.#rewritingListeners.forEach((listener) => listener(token)),
      wake: () => this.wake(),
    });
  }

  /** Tries for the lease once, then goes on in the background. Rejects with WRONG_CLUSTER. */
  async start(): Promise<void> {
    await this.#options.store.connect();
    await this.#inherit();
    await this.#step();
    this.#options.store.onStateChange(() => this.wake());
    this.#schedule();
  }

  /** Gives the lease back. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#ticking;
    const token = this.#token;
    this.#state.released();
    this.#token = undefined;
    if (token === undefined) return;
    if (this.#options.store.state === 'up') await this.#options.store.leaseRelease(token);
    this.#options.lines.write('lease given back', { token: token.number });
  }

  status(): LeaseStatus {
    return this.#state.status(this.#options.clock.monotonicMs());
  }

  /** True = the store gave it to this coordinator, which trusts it still. */
  get isHeld(): boolean {
    const status = this.status();
    return status === 'active' || status === 'suspect';
  }

  /** How often this coordinator took the lease from nobody or another. */
  get takenCount(): number {
    return this.#takenCount;
  }

  /** How often another took it over. */
  get lostCount(): number {
    return this.#lostCount;
  }

  /** True = this coordinator gives orders to brokers. */
  mayOrder(): boolean {
    return this.status() !== 'standby';
  }

  /** Number of the lease under which orders are given; 0 = none are. */
  tokenNumber(): number {
    return this.mayOrder() ? this.#state.tokenNumber : 0;
  }

  /** Where admin calls go; undefined = they are answered here. */
  relayTarget(): string | undefined {
    return this.status() === 'standby' ? this.#state.otherHolder()?.url : undefined;
  }

  /** The other coordinator that holds the lease, if this one is standby. */
  otherHolder(): { readonly run: string; readonly url: string } | undefined {
    return this.#state.otherHolder();
  }

  /** The token for writes, when the directory is in step with memory. */
  anchoredToken(): LeaseToken | undefined {
    const isSure = this.#anchor.isAnchored && this.status() === 'active' && !this.#isContested;
    return isSure && this.#options.store.state === 'up' ? this.#token : undefined;
  }

  /** The token, or the error that tells why nothing can be changed now. */
  requireWritable(): LeaseToken {
    const token = this.anchoredToken();
    if (token !== undefined) return token;
    const status = this.status();
    if (status === 'standby' || this.#isContested) {
      throw new PartitaError(
        'COORDINATOR_UNAVAILABLE',
        'no coordinator is active at the moment: repeat in a few seconds',
      );
    }
    if (status === 'unanchored' || this.#options.store.state === 'down') {
      throw new PartitaError(
        'METADATA_STORE_UNAVAILABLE',
        'Redis does not answer, so topics cannot be changed; producing and consuming go on. Repeat when Redis is back',
      );
    }
    if (this.#failure !== undefined) throw this.#failure;
    throw this.#rebuilding(
      'the directory is being rebuilt from the brokers and waits for',
      this.#options.model.state.missingBrokerIds(),
    );
  }

  /** REBUILDING while a broker may hold a topic that is not in memory, because the directory has lost it. */
  requireAllHeard(name: string): void {
    if (this.#anchor.lacksNothing) return;
    throw this.#rebuilding(
      `the directory has no topic "${name}", but may have lost it before this coordinator read it, and waits for`,
      this.#anchor.unheardBrokerIds(),
    );
  }

  /** A broker has told what it holds, or what has changed since. */
  heard(brokerId: number): void {
    this.#anchor.heard(brokerId);
  }

  /** True = what memory does not know is not there. */
  get lacksNothing(): boolean {
    return this.#anchor.lacksNothing;
  }

  #rebuilding(what: string, missing: readonly number[]): PartitaError {
    const waiting = missing.length > 0 ? `broker ${missing.join(', ')}` : `${this.#options.expectedBrokers} brokers`;
    const message = `${what} ${waiting}: repeat in a few seconds`;
    return new PartitaError('REBUILDING', message, { missing_brokers: missing.join(',') });
  }

  /** The store was found to have lost writes. */
  lostWrites(found: RolledBack): void {
    this.#anchor.lostWrites(found, false);
  }

  /** What the store answered to a write or a reading: a damaged directory is replaced. */
  storeFailed(error: unknown): void {
    if (error instanceof PartitaError && error.reason === 'NOT_ACTIVE_COORDINATOR') {
      this.#isContested = true;
      this.wake();
    }
    if (isDirectoryDamage(error) && this.#anchor.isAnchored) this.#anchor.damaged([error.message]);
  }

  /** The directory holds entries that this coordinator did not write. */
  foundForeign(names: readonly string[]): void {
    if (this.#anchor.isAnchored) this.#anchor.damaged(names);
  }

  /** Looks again soon instead of at the next interval. */
  wake(): void {
    if (this.#stopped) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#tick(), 0);
  }

  /** Calls `listener` when status or writability may have changed; returns how to stop. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Calls `listener` when the directory is about to be written as memory is now, and with undefined when that failed. */
  onRewriting(listener: (token: LeaseToken | undefined) => void): void {
    this.#rewritingListeners.push(listener);
  }

  #schedule(): void {
    if (this.#stopped) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#tick(), LEASE_RENEW_MS);
  }

  #tick(): void {
    if (this.#ticking !== undefined) {
      this.#again = true;
      return;
    }
    this.#again = false;
    this.#ticking = this.#step()
      .catch((error: unknown) => {
        if (error instanceof PartitaError && error.reason === 'WRONG_CLUSTER') this.#options.onWrongCluster(error);
        else this.#options.logger.error({ err: error }, 'keeping the lease failed');
      })
      .finally(() => {
        this.#ticking = undefined;
        if (this.#again) this.wake();
        else this.#schedule();
      });
  }

  async #step(): Promise<void> {
    const { clock } = this.#options;
    const sentAtMs = clock.monotonicMs();
    let answered = false;
    try {
      await this.#renewOrAcquire(sentAtMs);
      answered = true;
      if (this.#token !== undefined) await this.#anchor.hold(this.#token);
      else await this.#anchor.follow();
      this.#failure = undefined;
    } catch (error) {
      if (!(error instanceof PartitaError)) throw error;
      if (error.reason === 'WRONG_CLUSTER') throw error;
      if (error.reason === 'NOT_ACTIVE_COORDINATOR') this.wake();
      else {
        if (!answered) this.#state.storeSilent(sentAtMs);
        this.#noteFailure(error);
      }
    } finally {
      this.#tell();
    }
  }

  #noteFailure(error: PartitaError): void {
    if (error.message !== this.#failure?.message)
      this.#options.logger.warn({ err: error }, 'the metadata store does not take what it is asked for');
    this.#failure = error;
    this.storeFailed(error);
  }

  /** Gives back for a predecessor what it could not. A duel with it, should it live on somewhere, costs no record. */
  async #inherit(): Promise<void> {
    const { store, url, logger } = this.#options;
    try {
      const holder: LeaseHolder | undefined = await store.leaseHolder();
      if (holder?.url !== url()) return;
      await store.leaseRelease(holder);
      logger.info({ token: holder.number, run: holder.run }, 'lease of the predecessor at this address given back');
    } catch (error) {
      // Whatever it is, the first step meets it too, and knows what to do.
      logger.debug({ err: error }, 'the metadata store did not tell who holds the lease');
    }
  }

  async #renewOrAcquire(sentAtMs: number): Promise<void> {
    if (this.#token !== undefined && (await this.#renew(this.#token, sentAtMs))) {
      this.#isContested = false;
      return;
    }
    const { store, runId, url, lines } = this.#options;
    if (this.#token === undefined && (await this.#isLeftToAnother(sentAtMs))) return;
    const attempt = await store.leaseAcquire({ run: runId, url: url(), ttlMs: LEASE_TTL_MS });
    if ('heldBy' in attempt) {
      this.#lose(attempt.heldBy);
      this.#heardOtherAtMs = sentAtMs;
      return;
    }
    const { number } = attempt.token;
    if (this.#token === undefined) {
      // A number in between was another's, who may have decided something.
      if (number !== this.#lastNumber + 1) this.#anchor.release(false);
      this.#takenCount += 1;
      lines.write('lease taken', { token: number });
    }
    this.#token = attempt.token;
    this.#isContested = false;
    this.#lastNumber = number;
    this.#state.held(number, sentAtMs);
  }

  /** False = the lease is to be acquired, again or for the first time. */
  async #renew(token: LeaseToken, sentAtMs: number): Promise<boolean> {
    const { store, runId } = this.#options;
    try {
      const outcome = await store.leaseRenew(token);
      if (outcome.status !== 'rolled_back') {
        this.#state.held(token.number, sentAtMs);
        return true;
      }
      this.#anchor.lostWrites(outcome, true);
    } catch (error) {
      if (!(error instanceof PartitaError) || error.reason !== 'NOT_ACTIVE_COORDINATOR') throw error;
      const holder = await store.leaseHolder().catch(() => undefined);
      // Its own, under a higher number: the count had been wiped, and another coordinator remembered.
      if (holder?.run !== runId) this.#lose(holder);
    }
    return false;
  }

  /**
   * True = the directory is lost, and there is a holder who has heard of it lately: it has all of it in memory and comes back
   * for its lease, while this coordinator would have to wait for every broker.
   */
  async #isLeftToAnother(nowMs: number): Promise<boolean> {
    if (this.#anchor.isComplete || nowMs - this.#heardOtherAtMs > LEASE_TTL_MS) return false;
    return (await this.#options.store.readMeta()).status !== 'current';
  }

  /** `holder` undefined = the lease has run out or was removed, and nobody has taken it since. */
  #lose(holder: LeaseHolder | undefined): void {
    if (this.#token !== undefined) {
      this.#lostCount += 1;
      this.#options.lines.write('lease lost', { token: this.#token.number, holder: holder?.url ?? '' });
    }
    this.#token = undefined;
    this.#isContested = false;
    this.#anchor.release(holder === undefined);
    this.#state.heldByOther(holder);
  }

  #tell(): void {
    const { isAnchored } = this.#anchor;
    const now = `${this.status()} ${isAnchored} ${this.tokenNumber()} ${this.#options.store.state} ${this.#state.otherHolder()?.url}`;
    if (now === this.#told) return;
    this.#told = now;
    for (const listener of [...this.#listeners]) listener();
  }
}
