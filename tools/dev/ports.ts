/**
 * Ports of the cluster's listeners: chosen once per home and kept over restarts while nobody else takes them. They come
 * from below the range that the system gives to outgoing connections, so that no client's connection can take one between
 * its choice and its use.
 */
import { randomInt } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { LOOPBACK } from './placement.ts';

const PORT_MIN = 20_000;
const PORT_MAX = 32_000;
const TRY_COUNT_MAX = 200;

export class PortBook {
  readonly #file: string;
  readonly #ports: Map<string, number>;
  /** Chosen in this start; a port is free until its service listens, so only this tells that it is taken. */
  readonly #chosen = new Set<number>();

  private constructor(file: string, ports: Map<string, number>) {
    this.#file = file;
    this.#ports = ports;
  }

  /** Reads the ports of the last start; a missing or damaged file is an empty book. */
  static async open(home: string): Promise<PortBook> {
    const file = join(home, 'ports.json');
    try {
      const known: unknown = JSON.parse(await readFile(file, 'utf8'));
      const entries = Object.entries(known as Record<string, unknown>).filter((entry): entry is [string, number] =>
        Number.isInteger(entry[1]),
      );
      return new PortBook(file, new Map(entries));
    } catch {
      return new PortBook(file, new Map());
    }
  }

  /** `host:port` of a listener by name: the known port when it is free, else a new one. */
  async address(listener: string, host = LOOPBACK): Promise<string> {
    const known = this.#ports.get(listener);
    const port = known !== undefined && (await this.#isFree(known, host)) ? known : await this.#newPort(host);
    this.#ports.set(listener, port);
    this.#chosen.add(port);
    return `${host}:${port}`;
  }

  async save(): Promise<void> {
    await writeFile(this.#file, `${JSON.stringify(Object.fromEntries(this.#ports), null, 2)}\n`);
  }

  async #newPort(host: string): Promise<number> {
    for (let tries = 0; tries < TRY_COUNT_MAX; tries += 1) {
      const port = randomInt(PORT_MIN, PORT_MAX);
      if (await this.#isFree(port, host)) return port;
    }
    throw new Error(`no free port between ${PORT_MIN} and ${PORT_MAX} on ${host}`);
  }

  /** An address that is not this machine's belongs to one process alone, and cannot be tried from here. */
  async #isFree(port: number, host: string): Promise<boolean> {
    return !this.#chosen.has(port) && (host !== LOOPBACK || canListen(port));
  }
}

/** Whether the port can be bound now. */
async function canListen(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(false));
    server.listen(port, LOOPBACK, () => server.close(() => resolve(true)));
  });
}
