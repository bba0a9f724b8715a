/**
 * One connection to Redis that fails fast. A command that is not answered in METADATA_COMMAND_MS_MAX, or that meets no
 * connection, ends in METADATA_STORE_UNAVAILABLE; nothing waits for a reconnect, and nothing is sent twice. The
 * connection comes back by itself, 100 ms to 2 s after each failure.
 */
import {
  METADATA_COMMANDS_IN_FLIGHT_COUNT_MAX,
  METADATA_COMMAND_MS_MAX,
  METADATA_RECONNECT_MS_MAX,
  METADATA_RECONNECT_MS_MIN,
  PartitaError,
} from '@partita/domain';
import { Redis } from 'ioredis';
import type { StoreState } from './metadata-store.ts';
import { SCRIPT_NAMES, type ScriptName, scriptSource } from './scripts.ts';
import { storeClosed } from './store-errors.ts';
import { malformed } from './stored-fields.ts';

/** How ioredis calls a command that `defineCommand` made. */
type ScriptCommand = (keyCount: number, ...keysAndArguments: (string | number)[]) => Promise<unknown>;

export class RedisConnection {
  readonly #redis: Redis;
  /** Where Redis is, without user and password. */
  readonly #place: string;
  readonly #listeners = new Set<(state: StoreState) => void>();
  #state: StoreState = 'down';
  #lastFailure = '';
  #inFlightCount = 0;

  constructor(url: string) {
    this.#place = placeOf(url);
    this.#redis = new Redis(url, {
      lazyConnect: true,
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: 0,
      commandTimeout: METADATA_COMMAND_MS_MAX,
      connectTimeout: METADATA_COMMAND_MS_MAX,
      // A peer that takes bytes and answers nothing is dialled again, which also empties the queue of commands.
      socketTimeout: 2 * METADATA_COMMAND_MS_MAX,
      retryStrategy: (attempt) =>
        Math.min(METADATA_RECONNECT_MS_MIN * 2 ** Math.min(attempt - 1, 10), METADATA_RECONNECT_MS_MAX),
      // After a failover the old master answers READONLY: the address leads to the new one by now.
      reconnectOnError: (error) => error.message.startsWith('READONLY'),
    });
    for (const name of SCRIPT_NAMES) this.#redis.defineCommand(commandName(name), { lua: scriptSource(name) });
    this.#redis.on('ready', () => this.#become('up'));
    this.#redis.on('close', () => this.#become('down'));
    this.#redis.on('end', () => this.#become('down'));
    this.#redis.on('error', (error: Error) => {
      this.#lastFailure = error.message;
    });
  }

  get state(): StoreState {
    return this.#state;
  }

  onStateChange(listener: (state: StoreState) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Resolves when the first try has ended, well or not. */
  async connect(): Promise<void> {
    // Why it failed is told by the event `error`; the promise only says that the connection closed.
    await this.#redis.connect().catch(() => undefined);
  }

  close(): void {
    this.#redis.disconnect();
  }

  /** Runs a plain command, or several in one go with `work` over a pipeline. */
  async run<Reply>(work: (redis: Redis) => Promise<Reply>): Promise<Reply> {
    if (this.#state === 'down') throw this.#lastFailure === '' ? storeClosed() : this.#unavailable(this.#lastFailure);
    if (this.#inFlightCount >= METADATA_COMMANDS_IN_FLIGHT_COUNT_MAX) {
      throw this.#unavailable(`${this.#inFlightCount} commands wait for it already`);
    }
    this.#inFlightCount += 1;
    try {
      return await work(this.#redis);
    } catch (error) {
      if (error instanceof PartitaError) throw error;
      throw this.#unavailable(error instanceof Error ? error.message : String(error), error);
    } finally {
      this.#inFlightCount -= 1;
    }
  }

  /** Runs a script. EVALSHA, and EVAL when Redis has forgotten it, are ioredis' own business. */
  async script(name: ScriptName, keys: readonly string[], args: readonly (string | number)[]): Promise<ScriptReply> {
    const reply = await this.run(async (redis) => {
      // `defineCommand` adds the method at run time; its type cannot know.
      const command = Reflect.get(redis, commandName(name)) as ScriptCommand;
      return command.call(redis, keys.length, ...keys, ...args).catch((error: unknown) => {
        throw isDamage(error) ? malformed(`the keys of ${name}`, 'of another type, or no number') : error;
      });
    });
    const [code, ...rest] = Array.isArray(reply) ? (reply as unknown[]) : [];
    if (typeof code !== 'number') throw this.#unavailable(`the script ${name} answered without a code`);
    return { code, rest };
  }

  #become(state: StoreState): void {
    if (this.#state === state) return;
    this.#state = state;
    for (const listener of this.#listeners) listener(state);
  }

  #unavailable(why: string, cause?: unknown): PartitaError {
    return new PartitaError(
      'METADATA_STORE_UNAVAILABLE',
      `Redis at ${this.#place} does not serve (${why}); start it or check REDIS_URL, then try again`,
      { address: this.#place },
      cause === undefined ? {} : { cause },
    );
  }
}

/** A script's answer: its code (script-codes.ts), then what its header names. */
export interface ScriptReply {
  readonly code: number;
  readonly rest: readonly unknown[];
}

/** A script met a key of another type, or counts on from what is no number. */
function isDamage(error: unknown): boolean {
  return error instanceof Error && /WRONGTYPE|not an integer|would overflow/.test(error.message);
}

function commandName(name: ScriptName): string {
  return `partita-${name}`;
}

function placeOf(url: string): string {
  if (!URL.canParse(url) || !/^rediss?:$/.test(new URL(url).protocol)) {
    throw new PartitaError('INVALID_SETTING', 'the URL of Redis is redis://host:port or rediss://host:port');
  }
  return new URL(url).host;
}
