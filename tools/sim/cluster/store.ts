/**
 * The metadata store of a simulated cluster as one coordinator sees it: the store in memory, which has the fences of the
 * one in Redis, behind a connection that takes time, loses answers after the write, and goes away. All coordinators share
 * one directory, unless they are split: then each of two masters takes writes, and those of one are thrown away later.
 */
import { METADATA_COMMAND_MS_MAX, PartitaError } from '@partita/domain';
import { createMemoryMetadataStore, MemoryDirectory } from '@partita/metadata-store';
import type { MetadataStore, StoreState } from '@partita/metadata-store';
import type { SeededRandom } from '@partita/testkit';
import { Way } from './network.ts';
import type { SimulatedProcess } from './processes.ts';
import type { VirtualTime } from './virtual-time.ts';

const RECONNECT_MS_MAX = 2000;

export type DirectoryBackup = ReturnType<MemoryDirectory['backUp']>;

/** How a store is away: `refuses` is found out at once, `silent` by each command's own time-out. */
export type Absence = 'refuses' | 'silent';

/** What all coordinators talk to; faults change it. */
export class SimulatedRedis {
  /** The directory; after a failover another one. */
  master = new MemoryDirectory();
  /** A second master that some coordinators talk to meanwhile. */
  rival: MemoryDirectory | undefined;
  absence: Absence | undefined;
  /** Share of answers that get lost. */
  losesAnswers = 0;
  /** Told of what no honest store does: what it said before means nothing any more. */
  onLie: () => void = () => undefined;
  /** Longest way of a command, there and back. */
  answerMsMax = 1;
  readonly #listeners = new Set<() => void>();

  /** Forgets everything, as FLUSHALL does. */
  wipe(): void {
    this.master.wipe();
    this.onLie();
  }

  backUp(): DirectoryBackup {
    return this.master.backUp();
  }

  /** Comes back as it was. */
  restore(backup: DirectoryBackup): void {
    this.master.restore(backup);
    this.onLie();
  }

  /** Says to be another build of the directory. */
  replaceGeneration(generation: string): void {
    const { state } = this.master;
    if (state.meta !== undefined) state.meta = { ...state.meta, generation };
    this.onLie();
  }

  /** From now on there are two masters. */
  split(): void {
    this.rival = new MemoryDirectory();
    this.rival.restore(this.master.backUp());
  }

  /** One of the two masters is thrown away. */
  join(rivalWins: boolean): void {
    if (rivalWins && this.rival !== undefined) this.master = this.rival;
    this.rival = undefined;
    this.onLie();
  }

  /** Tells every connection that the absence has changed. */
  change(absence: Absence | undefined): void {
    this.absence = absence;
    for (const listener of [...this.#listeners]) listener();
  }

  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }
}

export interface StoreOptions {
  readonly clusterId: string;
  readonly redis: SimulatedRedis;
  readonly process: SimulatedProcess;
  readonly time: VirtualTime;
  readonly random: SeededRandom;
  /** True = this coordinator talks to the rival while there is one. */
  readonly isOfRival: boolean;
}

/** The store of one coordinator's process. */
export function simulatedStore(options: StoreOptions): MetadataStore {
  const connection = new StoreConnection(options);
  return new Proxy(connection.inner, {
    get: (inner, name) => {
      if (name === 'state') return connection.state;
      if (name === 'onStateChange') return connection.onStateChange;
      const method: unknown = Reflect.get(inner, name);
      if (typeof method !== 'function') return method;
      const work = (...args: unknown[]) => Reflect.apply(method, inner, args) as Promise<unknown>;
      if (name === 'connect') return () => connection.connect();
      return name === 'close' ? work : (...args: unknown[]) => connection.call(String(name), () => work(...args));
    },
  });
}

class StoreConnection {
  readonly inner: MetadataStore;
  state: StoreState = 'down';
  readonly #options: StoreOptions;
  readonly #listeners = new Set<(state: StoreState) => void>();
  readonly #there = new Way();
  readonly #back = new Way();

  constructor(options: StoreOptions) {
    const { clusterId, redis, time, isOfRival } = options;
    this.#options = options;
    const clock = { wallMs: () => time.wallMs, monotonicMs: () => time.nowMs };
    const directory = new MemoryDirectory();
    const current = () => (isOfRival ? redis.rival : undefined) ?? redis.master;
    Object.defineProperty(directory, 'state', { get: () => current().state });
    this.inner = createMemoryMetadataStore({ clusterId, clock, directory });
    redis.onChange(() => options.process.run(() => this.#meet()));
  }

  readonly onStateChange = (listener: (state: StoreState) => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  async connect(): Promise<void> {
    await this.inner.connect();
    this.state = this.#options.redis.absence === undefined ? 'up' : 'down';
  }

  async call(name: string, work: () => Promise<unknown>): Promise<unknown> {
    const { redis, random, time, process } = this.#options;
    if (this.state === 'down') throw unavailable('the connection is closed');
    const startMs = time.nowMs;
    await this.#pass(this.#there);
    // Where nobody answers, the command's own time-out does.
    if (redis.absence === 'silent') return this.#timeOut(startMs);
    if (redis.absence === 'refuses') throw unavailable('the connection was closed');
    process.machine.network.note(`${process.name} store ${name}`);
    let outcome: { readonly value: unknown } | { readonly error: unknown };
    try {
      outcome = { value: await work() };
    } catch (error) {
      outcome = { error };
    }
    if (redis.losesAnswers > 0 && random.chance(redis.losesAnswers)) return this.#timeOut(startMs);
    await this.#pass(this.#back);
    if ('error' in outcome) throw outcome.error;
    return outcome.value;
  }

  async #timeOut(startMs: number): Promise<never> {
    const { time } = this.#options;
    await time.sleep(METADATA_COMMAND_MS_MAX - (time.nowMs - startMs));
    throw unavailable('Command timed out');
  }

  async #pass(way: Way): Promise<void> {
    const { redis, random, time } = this.#options;
    way.lastAtMs = Math.max(way.lastAtMs, time.nowMs + (redis.answerMsMax * random.word()) / 2 ** 33);
    await time.sleep(way.lastAtMs - time.nowMs);
  }

  /** The store came or went. */
  #meet(): void {
    const { redis, random, time, process } = this.#options;
    if (redis.absence === 'silent') return;
    const delayMs = redis.absence === 'refuses' ? 0 : random.below(RECONNECT_MS_MAX);
    time.of(process, delayMs, () => this.#become(redis.absence === undefined ? 'up' : 'down'));
  }

  #become(state: StoreState): void {
    if (this.state === state) return;
    this.state = state;
    for (const listener of [...this.#listeners]) listener(state);
  }
}

function unavailable(why: string): PartitaError {
  return new PartitaError('METADATA_STORE_UNAVAILABLE', `Redis does not serve (${why})`);
}
