/**
 * Where the services of a cluster answer. Found by GetCluster on any known address; asked again when an address dies.
 * While nobody answers the last answer stays in use.
 */
import { asPartitaError, PartitaError } from '@partita/domain';
import { ClusterServiceService, ServiceKind } from '@partita/protocol';
import type { ClusterLimits, GetClusterResponse, ServiceEndpoint } from '@partita/protocol';
import { callUnary } from '@partita/rpc/client';
import type { ChannelPool } from '@partita/rpc/client';
import { pause } from './pause.ts';

const ASK_DEADLINE_MS = 3000;
/** An address that failed is asked last for this long. */
const SUSPECT_MS = 5000;
/** Pause between two rounds of asking, so that many failing calls make one round. */
const REFRESH_INTERVAL_MS = 200;

/** Services as their callers know them. */
export type ServiceName = 'gateway' | 'consumer-group' | 'coordinator';

const KINDS: Readonly<Record<ServiceName, ServiceKind>> = {
  gateway: ServiceKind.SERVICE_KIND_GATEWAY,
  'consumer-group': ServiceKind.SERVICE_KIND_CONSUMER_GROUP,
  coordinator: ServiceKind.SERVICE_KIND_COORDINATOR,
};

export class Endpoints {
  readonly #pool: ChannelPool;
  readonly #seeds: readonly string[];
  #endpoints: readonly ServiceEndpoint[] = [];
  #cluster: GetClusterResponse | undefined;
  /** Address to the monotonic time until which it is asked last. */
  readonly #suspects = new Map<string, number>();
  readonly #chosen = new Map<ServiceName, string>();
  #refreshing: Promise<void> | undefined;

  constructor(pool: ChannelPool, seeds: readonly string[]) {
    this.#pool = pool;
    this.#seeds = seeds;
  }

  /** The last answer of GetCluster. Undefined before `discover` succeeded. */
  get cluster(): GetClusterResponse | undefined {
    return this.#cluster;
  }

  get limits(): ClusterLimits | undefined {
    return this.#cluster?.limits;
  }

  /** Asks the known addresses in turn. Throws SERVICE_UNREACHABLE naming all of them and why each failed. */
  async discover(signal?: AbortSignal): Promise<void> {
    const failures: string[] = [];
    const addresses = this.#known();
    for (const address of addresses) {
      try {
        const client = this.#pool.client(address);
        const answer = await callUnary(
          client,
          ClusterServiceService.getCluster,
          {},
          { deadlineMs: ASK_DEADLINE_MS, signal },
        );
        this.#learn(address, answer);
        return;
      } catch (thrown) {
        const error = asPartitaError(thrown);
        if (error.reason === 'CANCELLED') throw error;
        this.suspect(address);
        failures.push(error.message.includes(address) ? error.message : `${address}: ${error.message}`);
      }
    }
    const text = failures.length === 0 ? 'no address was given' : failures.join('; ');
    throw new PartitaError('SERVICE_UNREACHABLE', `no address of the cluster answers: ${text}`, {
      address: addresses.join(','),
    });
  }

  /**
   * An address of the service: the one used last while it works, else another, the active one first. Throws
   * SERVICE_UNREACHABLE when the cluster names none.
   */
  async addressOf(service: ServiceName): Promise<string> {
    const known = this.#choose(service);
    if (known !== undefined && !this.#isSuspect(known)) return known;
    await this.#refresh();
    const address = this.#choose(service) ?? known;
    if (address !== undefined) return address;
    throw new PartitaError('SERVICE_UNREACHABLE', `the cluster names no ${service}; is one running?`, {
      address: service,
    });
  }

  /** An address failed: others are preferred for a while, and the cluster is asked again. */
  suspect(address: string): void {
    this.#suspects.set(address, performance.now() + SUSPECT_MS);
    for (const [service, chosen] of this.#chosen) if (chosen === address) this.#chosen.delete(service);
  }

  #known(): string[] {
    const all = [...new Set([...this.#seeds, ...this.#endpoints.map((endpoint) => endpoint.address)])];
    return [
      ...all.filter((address) => !this.#isSuspect(address)),
      ...all.filter((address) => this.#isSuspect(address)),
    ];
  }

  #learn(address: string, answer: GetClusterResponse): void {
    this.#cluster = answer;
    this.#suspects.delete(address);
    const self = { service: answer.service, address, brokerId: 0, instanceId: '', active: false };
    // Whoever answers is there, whether or not its directory has it already.
    const listed = answer.endpoints.some((endpoint) => endpoint.service === answer.service);
    this.#endpoints = listed ? answer.endpoints : [...answer.endpoints, self];
  }

  /** Never rejects: what is known stays in use. */
  #refresh(): Promise<void> {
    this.#refreshing ??= this.discover()
      .catch(() => undefined)
      .finally(() => void pause(REFRESH_INTERVAL_MS).then(() => (this.#refreshing = undefined)));
    return this.#refreshing;
  }

  #choose(service: ServiceName): string | undefined {
    const kind = KINDS[service];
    const candidates = this.#endpoints.filter((endpoint) => endpoint.service === kind);
    const active = candidates.find((endpoint) => endpoint.active && !this.#isSuspect(endpoint.address));
    if (active !== undefined) return active.address;
    const chosen = this.#chosen.get(service);
    if (chosen !== undefined && candidates.some((endpoint) => endpoint.address === chosen)) return chosen;
    const good = candidates.filter((endpoint) => !this.#isSuspect(endpoint.address));
    const among = good.length > 0 ? good : candidates;
    const picked = among[Math.floor(Math.random() * among.length)]?.address;
    if (picked !== undefined) this.#chosen.set(service, picked);
    return picked;
  }

  #isSuspect(address: string): boolean {
    const untilMs = this.#suspects.get(address);
    if (untilMs === undefined) return false;
    if (untilMs > performance.now()) return true;
    this.#suspects.delete(address);
    return false;
  }
}
