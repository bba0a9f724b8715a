/**
 * The network of a simulated cluster, as TCP shows it: what is sent on one way of a call comes in its order or not at all;
 * what is sent over a way that is cut waits and comes when the way is whole again, unless the connection is given up
 * before; a process that dies resets its connections, a machine that loses power is only missed.
 */
import type { SeededRandom } from '@partita/testkit';
import { Connection } from './connection.ts';
import type { SimulatedProcess } from './processes.ts';
import type { ServerCall } from './stand-ins/grpc-server-call.ts';
import type { VirtualTime } from './virtual-time.ts';

/** Keepalive of both sides: a connection on which nothing comes back is given up after this. */
const KEEPALIVE_MS_MIN = 5000;
const KEEPALIVE_MS_MAX = 8000;

/** One way of a call, or of a connection's own messages: keeps their order. */
export class Way {
  lastAtMs = 0;
}

/** What accepts connections at an address. */
export interface Listener {
  readonly process: SimulatedProcess;
  /** A call begins on a connection that was accepted. */
  accept(call: ServerCall): void;
}

/** How long messages take. */
export interface Pace {
  readonly minMs: number;
  readonly maxMs: number;
  /** Share of messages that take up to `slowMs`. */
  readonly slowShare: number;
  readonly slowMs: number;
}

interface Held {
  readonly way: Way;
  readonly label: string;
  readonly work: () => void;
}

export class Network {
  readonly time: VirtualTime;
  pace: Pace = { minMs: 0.1, maxMs: 1, slowShare: 0, slowMs: 0 };
  readonly #random: SeededRandom;
  readonly note: (line: string) => void;
  readonly #listeners = new Map<string, Listener>();
  readonly #connections = new Set<Connection>();
  /** Ways between hosts that are cut, `from>to`, and what waits there. */
  readonly #cuts = new Map<string, Held[]>();
  /** Machines without power. */
  readonly #dark = new Set<string>();

  constructor(time: VirtualTime, random: SeededRandom, note: (line: string) => void) {
    this.time = time;
    this.#random = random;
    this.note = note;
  }

  /** False when the address is taken. */
  listen(address: string, listener: Listener): boolean {
    if (this.#listeners.get(address)?.process.isAlive === true) return false;
    this.#listeners.set(address, listener);
    return true;
  }

  unlisten(address: string, listener: Listener): void {
    if (this.#listeners.get(address) === listener) this.#listeners.delete(address);
  }

  listenerAt(address: string): Listener | undefined {
    const listener = this.#listeners.get(address);
    return listener?.process.isAlive === true ? listener : undefined;
  }

  connect(client: SimulatedProcess, listener: Listener, address: string): Connection {
    const connection = new Connection(this, client, listener, address);
    this.#connections.add(connection);
    return connection;
  }

  forget(connection: Connection): void {
    this.#connections.delete(connection);
  }

  /** Sends from host to host; `work` is done when it arrives. */
  send(from: string, to: string, way: Way, label: string, work: () => void): void {
    const held = this.#cuts.get(`${from}>${to}`);
    if (held !== undefined) {
      held.push({ way, label, work });
      return;
    }
    if (this.#dark.has(to)) return;
    const { minMs, maxMs, slowShare, slowMs } = this.pace;
    let delayMs = minMs + ((maxMs - minMs) * this.#random.word()) / 2 ** 32;
    if (slowShare > 0 && this.#random.chance(slowShare)) delayMs += this.#random.below(slowMs + 1);
    way.lastAtMs = Math.max(way.lastAtMs, this.time.nowMs + delayMs);
    this.time.of(undefined, way.lastAtMs - this.time.nowMs, () => {
      this.note(`${from}>${to} ${label}`);
      work();
    });
  }

  /** Cuts the way; what is sent waits. */
  cut(from: string, to: string): void {
    const key = `${from}>${to}`;
    if (this.#cuts.has(key)) return;
    this.#cuts.set(key, []);
    this.#watch((connection) => connection.isBetween(from, to));
  }

  heal(from: string, to: string): void {
    const key = `${from}>${to}`;
    const held = this.#cuts.get(key);
    this.#cuts.delete(key);
    for (const { way, label, work } of held ?? []) this.send(from, to, way, label, work);
  }

  healAll(): void {
    for (const key of [...this.#cuts.keys()]) {
      const [from = '', to = ''] = key.split('>');
      this.heal(from, to);
    }
  }

  isCut(from: string, to: string): boolean {
    return this.#cuts.has(`${from}>${to}`);
  }

  /** A process of the host stands still: its peers may give it up. */
  watchHost(host: string): void {
    this.#watch((connection) => connection.isOf(host));
  }

  /** The power of the machine is off: nothing arrives, nobody is told. */
  darken(host: string): void {
    this.#dark.add(host);
    this.watchHost(host);
  }

  /** The machine is there again; whoever still thinks to be connected is told that nobody knows of it. */
  lighten(host: string): void {
    if (!this.#dark.delete(host)) return;
    for (const connection of [...this.#connections]) if (connection.isOf(host)) connection.reset();
  }

  /** Ends connections of a process that died. */
  resetAll(process: SimulatedProcess): void {
    for (const connection of [...this.#connections]) if (connection.isOf(process.host)) connection.reset();
  }

  /** Breaks one of the connections, as a router that forgets does. */
  breakOne(): void {
    const open = [...this.#connections];
    if (open.length > 0) this.#random.pick(open).reset();
  }

  #watch(concerned: (connection: Connection) => boolean): void {
    for (const connection of [...this.#connections]) {
      if (!concerned(connection)) continue;
      const delayMs = KEEPALIVE_MS_MIN + this.#random.below(KEEPALIVE_MS_MAX - KEEPALIVE_MS_MIN);
      this.time.of(undefined, delayMs, () => {
        if (this.#isMute(connection)) connection.giveUp();
      });
    }
  }

  #isMute({ client, server }: Connection): boolean {
    const ends = [client, server];
    return (
      ends.some((end) => end.isPaused || !end.isAlive || this.#dark.has(end.host)) ||
      this.isCut(client.host, server.host) ||
      this.isCut(server.host, client.host)
    );
  }
}
