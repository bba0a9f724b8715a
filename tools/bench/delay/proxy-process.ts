/** Proxies in front of services of a cluster, in a process of their own. */
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { nextMessage } from '../child-process.ts';
import type { ProxyAddresses, ProxyOrder } from './proxy-messages.ts';

const PROXIES = fileURLToPath(new URL('./proxy-main.ts', import.meta.url));

export class ProxyProcess {
  /** Where each listens, by the name of the service behind: what clients are to be told in its place. */
  readonly addresses: Readonly<Record<string, string>>;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, { addresses }: ProxyAddresses) {
    this.addresses = addresses;
    this.#child = child;
  }

  static async start(names: readonly string[]): Promise<ProxyProcess> {
    const child = fork(PROXIES, names);
    return new ProxyProcess(child, (await nextMessage(child)) as ProxyAddresses);
  }

  /** To be called before services connect: until then everybody is sent away. */
  leadTo(home: string): Promise<void> {
    return this.#order({ kind: 'home', home });
  }

  /** Resolves when it holds for whatever is sent from now on. */
  delay(delayMs: number): Promise<void> {
    return this.#order({ kind: 'delay', delayMs });
  }

  stop(): void {
    this.#child.disconnect();
  }

  async #order(order: ProxyOrder): Promise<void> {
    const answer = nextMessage(this.#child);
    this.#child.send(order);
    await answer;
  }
}
