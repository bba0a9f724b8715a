/** Ports of the cluster's listeners: chosen once per home and kept over restarts while nobody else takes them. */
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';

const HOST = '127.0.0.1';

export class PortBook {
  readonly #file: string;
  readonly #ports: Map<string, number>;

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

  /** `127.0.0.1:port` of a listener by name: the known port when it is free, else a new one. */
  async address(listener: string): Promise<string> {
    const known = this.#ports.get(listener);
    const port = (known === undefined ? undefined : await tryPort(known)) ?? (await tryPort(0));
    if (port === undefined) throw new Error(`no free port on ${HOST}`);
    this.#ports.set(listener, port);
    return `${HOST}:${port}`;
  }

  async save(): Promise<void> {
    await writeFile(this.#file, `${JSON.stringify(Object.fromEntries(this.#ports), null, 2)}\n`);
  }
}

/** The port when it can be bound now, undefined when it cannot. 0 = any. */
async function tryPort(port: number): Promise<number | undefined> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(undefined));
    server.listen(port, HOST, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' ? address?.port : undefined));
    });
  });
}
