/**
 * The stream of a producer to a gateway: opened when it is needed, to another gateway when one fails, with pauses in
 * between. Any gateway serves any producer.
 */
import { asPartitaError } from '@partita/domain';
import type { PartitaError } from '@partita/domain';
import { backoffDelayMs } from '@partita/rpc/client';
import type { ChannelPool } from '@partita/rpc/client';
import type { Endpoints } from '../endpoints.ts';
import { JITTER } from '../jitter.ts';
import { ProduceLink } from './produce-link.ts';

/** A gateway that comes back is found within a second or so: what waits for one is a user's send. */
const DOUBLING_COUNT_MAX = 4;

export interface GatewayStreamOwner {
  /** A stream was opened: what failed for the want of one may go. */
  onOpen(): void;
  /** Frames may be sent, or there is room again. */
  onRoom(): void;
  /** No gateway could be reached this time; it is tried again. */
  onFailure(error: PartitaError): void;
}

export class GatewayStream {
  readonly #pool: ChannelPool;
  readonly #endpoints: Endpoints;
  readonly #owner: GatewayStreamOwner;
  #link: ProduceLink | undefined;
  #opening = false;
  #attempt = 0;
  #notBeforeMs = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #error: PartitaError | undefined;
  #closed = false;

  constructor(pool: ChannelPool, endpoints: Endpoints, owner: GatewayStreamOwner) {
    this.#pool = pool;
    this.#endpoints = endpoints;
    this.#owner = owner;
  }

  /** The stream in use, which may still be opening; undefined while there is none. Asking for it opens one. */
  get link(): ProduceLink | undefined {
    if (this.#link === undefined) this.#open();
    return this.#link;
  }

  /** Why there is no stream; undefined once one works. */
  get error(): PartitaError | undefined {
    return this.#error;
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#link?.close();
    this.#link = undefined;
  }

  #open(): void {
    if (this.#opening || this.#closed || this.#timer !== undefined) return;
    const waitMs = this.#notBeforeMs - performance.now();
    if (waitMs > 0) {
      this.#timer = setTimeout(() => {
        this.#timer = undefined;
        this.#open();
      }, waitMs);
      return;
    }
    this.#opening = true;
    this.#endpoints
      .addressOf('gateway')
      .then((address) => this.#connect(address))
      .catch((error: unknown) => this.#fail(asPartitaError(error)))
      .finally(() => (this.#opening = false));
  }

  #connect(address: string): void {
    if (this.#closed) return;
    let isOpen = false;
    const link: ProduceLink = new ProduceLink(this.#pool, address, {
      onRoom: () => {
        this.#attempt = 0;
        this.#error = undefined;
        if (!isOpen) this.#owner.onOpen();
        isOpen = true;
        this.#owner.onRoom();
      },
      onRetired: (error) => {
        if (this.#link === link) this.#link = undefined;
        this.#endpoints.suspect(address);
        if (error !== undefined) this.#fail(error);
        else this.#owner.onRoom();
      },
    });
    this.#link = link;
  }

  #fail(error: PartitaError): void {
    this.#error = error;
    this.#notBeforeMs = performance.now() + backoffDelayMs(Math.min(this.#attempt, DOUBLING_COUNT_MAX), JITTER);
    this.#attempt += 1;
    this.#owner.onFailure(error);
  }
}
