/**
 * Keeps the directory and the memory of the coordinator that holds the lease in step.
 *
 * Anchored means: the directory is what this process believes. A coordinator with a whole picture in memory writes a lost or
 * damaged directory back at once. One without takes what it can read, rebuilds the rest from what brokers report, and waits
 * for as many of them as are expected, so that nothing known is missing from the new directory.
 */
import type { Clock, Random } from '@partita/domain';
import type { LeaseToken, MetadataStore, RolledBack } from '@partita/metadata-store';
import type { Logger } from '@partita/runtime';
import type { ClusterModel } from '../cluster-model.ts';
import { DirectoryCheck } from './directory-check.ts';
import { directoryContent } from './directory-codec.ts';
import { mergeSnapshot } from './directory-reader.ts';

/** The directory is read back this often, all of it. */
export const DIRECTORY_CHECK_MS = 10_000;

export interface DirectoryAnchorOptions {
  readonly store: MetadataStore;
  readonly model: ClusterModel;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly expectedBrokers: number;
  /** True = brokers that are only known by hearsay are not waited for. */
  readonly rebuildIncomplete: boolean;
  /** DIRECTORY_CHECK_MS, or Infinity for a store that nobody else can reach. */
  readonly checkMs: number;
  /** The directory was found to be lost or damaged. */
  readonly onSuspect: () => void;
  /** It is what memory says. */
  readonly onRestored: () => void;
  /** All that memory says at this moment is on its way into it; undefined = it did not get there. */
  readonly onRewriting: (token: LeaseToken | undefined) => void;
  /** Something is to be tried again at once. */
  readonly wake: () => void;
}

export class DirectoryAnchor {
  readonly #options: DirectoryAnchorOptions;
  readonly #check = new DirectoryCheck();
  #anchored = false;
  /** Memory has once held all that the directory knew, and has decided everything since. */
  #complete = false;
  /** Brokers that have told of all they hold since memory became complete. */
  readonly #heardBrokerIds = new Set<number>();
  /** True = the directory is to be replaced, whatever its meta says. */
  #spoiled = false;
  /** The directory that this process believes in. */
  #generation: string | undefined;
  #generationToReplace: string | undefined;
  #readRevision = '';
  #checkedAtMs = 0;
  #waitingFor = '';
  #toldFaults = '';

  constructor(options: DirectoryAnchorOptions) {
    this.#options = options;
  }

  /** True = the directory says what this memory says. */
  get isAnchored(): boolean {
    return this.#anchored;
  }

  /** True = memory alone is enough to write the directory. */
  get isComplete(): boolean {
    return this.#complete;
  }

  /** A broker has told what it holds, or what has changed since. */
  heard(brokerId: number): void {
    this.#heardBrokerIds.add(brokerId);
  }

  /**
   * Brokers that may hold topics of which memory knows nothing: nobody can tell of a directory read for the first time whether
   * it has lost writes, so only they can.
   */
  unheardBrokerIds(): number[] {
    if (this.#options.rebuildIncomplete) return [];
    return this.#options.model.state.knownBrokerIds().filter((brokerId) => !this.#heardBrokerIds.has(brokerId));
  }

  /** True = what memory does not know is not there: all brokers, and as many as are expected, have told what they hold. */
  get lacksNothing(): boolean {
    const { rebuildIncomplete, expectedBrokers } = this.#options;
    if (rebuildIncomplete) return true;
    return this.#heardBrokerIds.size >= expectedBrokers && this.unheardBrokerIds().length === 0;
  }

  /** The lease is another's or nobody's. `memoryHolds` = nobody else can have decided anything. */
  release(memoryHolds: boolean): void {
    this.#anchored = false;
    this.#complete &&= memoryHolds;
  }

  /**
   * A write was answered with it, or a reading: the directory has lost what was written. `certain` = the answer is not that
   * to a write which a rebuild under way has overtaken.
   */
  lostWrites(found: Pick<RolledBack, 'generation' | 'revision'>, certain: boolean): void {
    this.#anchored = false;
    this.#spoiled ||= certain;
    this.#generationToReplace = found.generation;
    this.#check.forget();
    this.#options.onSuspect();
    this.#options.logger.warn(
      { generation: found.generation, revision: found.revision },
      'the directory has lost writes; writing it anew',
    );
    this.#options.wake();
  }

  /** Keys of the directory hold what was never written there. */
  damaged(faults: readonly string[]): void {
    this.#options.logger.warn({ faults }, 'the directory is not what was written; writing it anew');
    this.#anchored = false;
    this.#spoiled = true;
    this.#generationToReplace = this.#generation;
    this.#check.forget();
    this.#options.onSuspect();
    this.#options.wake();
  }

  /** Brings directory and memory together; to be called again and again while the lease is held. */
  async hold(token: LeaseToken): Promise<void> {
    if (this.#anchored) {
      if (await this.#isAsBefore()) return this.#readBack();
    } else if (this.#complete && !this.#spoiled && (await this.#isAsBefore())) {
      this.#becomeAnchored();
      return;
    }
    if (!this.#complete && (await this.#takeOver())) return;
    await this.#writeAnew(token);
  }

  /** A standby reads along, whoever has built the directory anew: it is asked for routes, and takes over one day. */
  async follow(): Promise<void> {
    const { store, model } = this.#options;
    const reading = await store.readMeta();
    if (reading.status === 'empty') return;
    const revision = `${reading.meta.generation}/${reading.meta.revision}`;
    if (revision === this.#readRevision) return;
    const snapshot = await store.readAll();
    if (snapshot === undefined) return;
    this.#tellFaults(snapshot.faults);
    mergeSnapshot(model, snapshot);
    this.#readRevision = revision;
  }

  /** True = the build that this process believes in, and no writes of it are lost. */
  async #isAsBefore(): Promise<boolean> {
    const reading = await this.#options.store.readMeta();
    const generation = reading.status === 'empty' ? undefined : reading.meta.generation;
    if (reading.status === 'current' && generation === this.#generation) return true;
    this.lostWrites({ generation, revision: reading.status === 'empty' ? 0 : reading.meta.revision }, true);
    return false;
  }

  /** Takes the directory into memory. False = it has to be written anew, and may be; true = nothing more to do now. */
  async #takeOver(): Promise<boolean> {
    const { store, model, logger } = this.#options;
    const snapshot = await store.readAll();
    if (snapshot !== undefined) {
      this.#tellFaults(snapshot.faults);
      mergeSnapshot(model, snapshot);
    }
    if (snapshot !== undefined && !snapshot.rolledBack && snapshot.faults.length === 0) {
      const { meta, topics } = snapshot;
      this.#generation = meta.generation;
      this.#becomeAnchored();
      logger.info({ generation: meta.generation, topics: topics.length }, 'directory read');
      return true;
    }
    this.#generationToReplace = snapshot?.meta.generation;
    if (this.#enoughBrokers()) return false;
    this.#waitForBrokers();
    return true;
  }

  async #writeAnew(token: LeaseToken): Promise<void> {
    const { store, model, clock, random, logger, onRewriting, wake } = this.#options;
    const newGeneration = random.uuid();
    const content = directoryContent(model.state, clock.wallMs());
    const expectedGeneration = this.#generationToReplace;
    onRewriting(token);
    const outcome = await store
      .rebuild(token, { expectedGeneration, newGeneration, content })
      .catch((error: unknown) => {
        onRewriting(undefined);
        throw error;
      });
    if (outcome.status === 'rolled_back') {
      onRewriting(undefined);
      // What is to be replaced was not known; if it is that already, something else is wrong, and haste does not help.
      if (outcome.generation !== expectedGeneration) wake();
      this.#generationToReplace = outcome.generation;
      return;
    }
    this.#generation = newGeneration;
    this.#becomeAnchored();
    logger.info({ generation: newGeneration, topics: content.topics.length }, 'directory written');
  }

  #becomeAnchored(): void {
    // What was heard before this may be older than what another coordinator has decided last.
    if (!this.#complete) this.#heardBrokerIds.clear();
    this.#complete = true;
    this.#spoiled = false;
    this.#anchored = true;
    this.#check.forget();
    this.#checkedAtMs = this.#options.clock.monotonicMs();
    this.#options.onRestored();
  }

  /** Looks from time to time whether the directory still says what was written. */
  async #readBack(): Promise<void> {
    const { store, model, clock, checkMs } = this.#options;
    if (clock.monotonicMs() - this.#checkedAtMs < checkMs) return;
    this.#checkedAtMs = clock.monotonicMs();
    const snapshot = await store.readAll();
    if (snapshot === undefined || snapshot.meta.generation !== this.#generation) return;
    const faults = [...snapshot.faults];
    if (faults.length === 0) {
      const lasting = this.#check.compare(snapshot, directoryContent(model.state, clock.wallMs()));
      faults.push(...lasting.map((name) => `${name}: not as it was written`));
    }
    if (faults.length > 0) this.damaged(faults);
  }

  #tellFaults(faults: readonly string[]): void {
    const told = faults.join();
    if (told === this.#toldFaults) return;
    this.#toldFaults = told;
    if (faults.length > 0) this.#options.logger.warn({ faults }, 'the directory is damaged; the rest of it is read');
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
}
