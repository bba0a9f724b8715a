/**
 * The coordinator's lease: takes it when it is free, renews it, and keeps directory and memory in step when it is held.
 * One that starts does not wait for the lease of the process that had its address before and was killed: that one is gone,
 * or nobody could reach it under this address.
 *
 * Being `writable` means: the lease is held, the directory is what this process believes, and the store answers. A
 * coordinator with a whole picture in memory writes a lost directory back at once. One without rebuilds it from what brokers
 * report, and waits for as many brokers as are expected, so that nothing known is missing from the new directory.
 */
import { LEASE_RENEW_MS, LEASE_TTL_MS, LeaseState } from '@partita/cluster';
import type { LeaseStatus } from '@partita/cluster';
import { PartitaError } from '@partita/domain';
import type { Clock, Random } from '@partita/domain';
import type { LeaseHolder, LeaseToken, MetadataSnapshot, MetadataStore, RolledBack } from '@partita/metadata-store';
import type { Logger, StateLines } from '@partita/runtime';
import type { ClusterModel } from './cluster-model.ts';
import { directoryContent } from './directory-codec.ts';
import { mergeSnapshot } from './directory-reader.ts';

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
  /** The store holds another cluster's data: this process must not go on. */
  readonly onWrongCluster: (error: PartitaError) => void;
}

export class Lease {
  readonly #options: LeaseOptions;
  readonly #state = new LeaseState();
  readonly #listeners = new Set<() => void>();
  #token: LeaseToken | undefined;
  /** The directory says what this memory says. */
  #anchored = false;
  /** Memory has once held all that the directory knew, and has decided everything since. */
  #complete = false;
  /** The directory that this process believes in. */
  #generation: string | undefined;
  #generationToReplace: string | undefined;
  #readRevision = '';
  #ticking: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;
  #takenCount = 0;
  #lostCount = 0;
  #told = '';
  #waitingFor = '';

  constructor(options: LeaseOptions) {
    this.#options = options;
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

  tokenNumber(): number {
    return this.#state.tokenNumber;
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
    return this.#anchored && this.status() === 'active' && this.#options.store.state === 'up' ? this.#token : undefined;
  }

  /** The token, or the error that tells why nothing can be changed now. */
  requireWritable(): LeaseToken {
    const token = this.anchoredToken();
    if (token !== undefined) return token;
    const status = this.status();
    if (status === 'standby') {
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
    const missing = this.#options.model.state.missingBrokerIds();
    const waiting = missing.length > 0 ? `broker ${missing.join(', ')}` : `${this.#options.expectedBrokers} brokers`;
    throw new PartitaError(
      'REBUILDING',
      `the directory is being rebuilt from the brokers and waits for ${waiting}: repeat in a few seconds`,
      {
        missing_brokers: missing.join(','),
      },
    );
  }

  /** The store was found to have lost writes. */
  lostWrites(found: RolledBack): void {
    this.#state.storeLostWrites();
    this.#anchored = false;
    this.#generationToReplace = found.generation;
    this.#options.logger.warn(
      { generation: found.generation, revision: found.revision },
      'the directory has lost writes; writing it anew',
    );
    this.wake();
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

  #schedule(): void {
    if (this.#stopped) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#tick(), LEASE_RENEW_MS);
  }

  #tick(): void {
    if (this.#ticking !== undefined) return this.#schedule();
    this.#ticking = this.#step()
      .catch((error: unknown) => {
        if (error instanceof PartitaError && error.reason === 'WRONG_CLUSTER') this.#options.onWrongCluster(error);
        else this.#options.logger.error({ err: error }, 'keeping the lease failed');
      })
      .finally(() => {
        this.#ticking = undefined;
        this.#schedule();
      });
  }

  async #step(): Promise<void> {
    const { store, clock } = this.#options;
    const sentAtMs = clock.monotonicMs();
    try {
      await this.#renewOrAcquire(sentAtMs);
      if (this.#token !== undefined) await this.#anchor(this.#token);
      else await this.#follow();
    } catch (error) {
      if (!(error instanceof PartitaError)) throw error;
      if (error.reason === 'WRONG_CLUSTER') throw error;
      if (error.reason === 'NOT_ACTIVE_COORDINATOR') this.#lose(await store.leaseHolder().catch(() => undefined));
      else this.#state.storeSilent(sentAtMs);
      this.#options.logger.debug({ err: error }, 'the metadata store did not take a write');
    } finally {
      this.#tell();
    }
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
    const { store, runId, url } = this.#options;
    if (this.#token !== undefined) {
      const outcome = await store.leaseRenew(this.#token);
      if (outcome.status !== 'rolled_back') {
        this.#state.held(this.#token.number, sentAtMs);
        return;
      }
      this.lostWrites(outcome);
    }
    const attempt = await store.leaseAcquire({ run: runId, url: url(), ttlMs: LEASE_TTL_MS });
    if ('heldBy' in attempt) {
      this.#lose(attempt.heldBy);
      return;
    }
    if (this.#token === undefined) {
      this.#takenCount += 1;
      this.#options.lines.write('lease taken', { token: attempt.token.number });
    }
    this.#token = attempt.token;
    this.#state.held(attempt.token.number, sentAtMs);
  }

  #lose(holder: { readonly run: string; readonly url: string } | undefined): void {
    if (this.#token !== undefined) {
      this.#lostCount += 1;
      this.#options.lines.write('lease lost', { token: this.#token.number, holder: holder?.url ?? '' });
    }
    this.#token = undefined;
    this.#anchored = false;
    this.#complete = false;
    this.#state.heldByOther(holder);
  }

  /** Brings directory and memory together. */
  async #anchor(token: LeaseToken): Promise<void> {
    const { store, model } = this.#options;
    if (this.#anchored) {
      const reading = await store.readMeta();
      const generation = reading.status === 'empty' ? undefined : reading.meta.generation;
      if (reading.status === 'current' && generation === this.#generation) return;
      this.lostWrites({
        status: 'rolled_back',
        generation,
        revision: reading.status === 'empty' ? 0 : reading.meta.revision,
      });
    }
    if (!this.#complete) {
      const snapshot = await store.readAll();
      if (snapshot !== undefined) mergeSnapshot(model, snapshot);
      if (snapshot !== undefined && !snapshot.rolledBack) {
        this.#anchoredBy(snapshot);
        return;
      }
      this.#generationToReplace = snapshot?.meta.generation;
      if (!this.#enoughBrokers()) {
        this.#waitForBrokers();
        return;
      }
    }
    await this.#writeAnew(token);
  }

  #anchoredBy(snapshot: MetadataSnapshot): void {
    this.#generation = snapshot.meta.generation;
    this.#complete = true;
    this.#anchored = true;
    this.#state.storeRestored();
    this.#options.logger.info(
      { generation: snapshot.meta.generation, topics: snapshot.topics.length },
      'directory read',
    );
  }

  async #writeAnew(token: LeaseToken): Promise<void> {
    const { store, model, clock, random, logger } = this.#options;
    const newGeneration = random.uuid();
    const content = directoryContent(model.state, clock.wallMs());
    const outcome = await store.rebuild(token, {
      expectedGeneration: this.#generationToReplace,
      newGeneration,
      content,
    });
    if (outcome.status === 'rolled_back') {
      this.#generationToReplace = outcome.generation;
      this.wake();
      return;
    }
    this.#generation = newGeneration;
    this.#complete = true;
    this.#anchored = true;
    this.#state.storeRestored();
    logger.info({ generation: newGeneration, topics: content.topics.length }, 'directory written');
  }

  #waitForBrokers(): void {
    const { model, expectedBrokers, logger } = this.#options;
    const missing = model.state.missingBrokerIds();
    const waiting = `${expectedBrokers} ${missing.join()}`;
    if (waiting === this.#waitingFor) return;
    this.#waitingFor = waiting;
    logger.info({ missing, expected: expectedBrokers }, 'no directory: waiting for brokers to rebuild it');
  }

  #enoughBrokers(): boolean {
    const { model, expectedBrokers, rebuildIncomplete } = this.#options;
    const heard = [...model.state.brokers()].filter(({ facts }) => facts.status !== 'down').length;
    return heard >= expectedBrokers && (rebuildIncomplete || model.state.missingBrokerIds().length === 0);
  }

  /** A standby reads along, whoever has built the directory anew: it is asked for routes, and takes over one day. */
  async #follow(): Promise<void> {
    const { store, model } = this.#options;
    const reading = await store.readMeta();
    if (reading.status === 'empty') return;
    const revision = `${reading.meta.generation}/${reading.meta.revision}`;
    if (revision === this.#readRevision) return;
    const snapshot = await store.readAll();
    if (snapshot === undefined) return;
    mergeSnapshot(model, snapshot);
    this.#readRevision = revision;
  }

  #tell(): void {
    const now = `${this.status()} ${this.#anchored} ${this.#options.store.state} ${this.#state.otherHolder()?.url}`;
    if (now === this.#told) return;
    this.#told = now;
    for (const listener of [...this.#listeners]) listener();
  }
}
