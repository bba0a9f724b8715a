/** A connection between two processes, and the calls on it. */
import { Way } from './network.ts';
import type { Listener, Network } from './network.ts';
import type { SimulatedProcess } from './processes.ts';

/** One side of a call. */
export interface CallEnd {
  /** The connection is gone: nothing comes any more, and nothing that is sent arrives. */
  onBroken(why: string): void;
}

type Side = 'client' | 'server';

export class Connection {
  readonly client: SimulatedProcess;
  readonly listener: Listener;
  readonly address: string;
  readonly #network: Network;
  readonly #ends = { client: new Set<CallEnd>(), server: new Set<CallEnd>() };
  readonly #isBroken = { client: false, server: false };
  readonly #ways = { client: new Way(), server: new Way() };

  constructor(network: Network, client: SimulatedProcess, listener: Listener, address: string) {
    this.#network = network;
    this.client = client;
    this.listener = listener;
    this.address = address;
  }

  get server(): SimulatedProcess {
    return this.listener.process;
  }

  /** True while the client may begin calls. */
  get isUp(): boolean {
    return !this.#isBroken.client;
  }

  isBetween(one: string, other: string): boolean {
    const { client, server } = this;
    return (client.host === one && server.host === other) || (client.host === other && server.host === one);
  }

  isOf(host: string): boolean {
    return this.client.host === host || this.server.host === host;
  }

  add(side: Side, end: CallEnd): void {
    this.#ends[side].add(end);
  }

  remove(side: Side, end: CallEnd): void {
    this.#ends[side].delete(end);
  }

  /** Sends from one side to the other, where `work` is done unless that side has given the connection up. */
  send(from: Side, way: Way, label: string, work: () => void): void {
    if (this.#isBroken[from]) return;
    const to = from === 'client' ? 'server' : 'client';
    this.#network.send(this[from].host, this[to].host, way, label, () =>
      this[to].run(() => {
        if (!this.#isBroken[to]) work();
      }),
    );
  }

  /** Both sides find the connection broken, each when the news reach it. */
  reset(): void {
    for (const side of ['client', 'server'] as const) {
      const other = side === 'client' ? 'server' : 'client';
      const { host } = this[side];
      this.#network.send(this[other].host, host, this.#ways[side], 'reset', () =>
        this.#breakAt(side, 'read ECONNRESET'),
      );
    }
  }

  /** Nothing came back for too long: each side that runs gives the connection up. */
  giveUp(): void {
    for (const side of ['client', 'server'] as const) this.#breakAt(side, 'Connection dropped by keepalive');
  }

  #breakAt(side: Side, why: string): void {
    this[side].run(() => {
      if (this.#isBroken[side]) return;
      this.#isBroken[side] = true;
      this.#network.forget(this);
      for (const end of [...this.#ends[side]]) end.onBroken(why);
      this.#ends[side].clear();
    });
  }
}
