/**
 * Bytes of requests that wait for their answer, bounded for each client, connection and leader, and in all. Whatever is
 * beyond is shed at once, with QUEUE_FULL: memory does not grow, and who asks for little gets it.
 *
 * Besides its limit, a client has no more than is left free: however many clients are greedy, one that has nothing under
 * way finds room. The same holds for each leader within the whole, a client and a connection (ByteShare). One request
 * always gets through, whatever its size, where its holder has none.
 */
import {
  GATEWAY_BYTES_IN_FLIGHT_MAX,
  GATEWAY_CLIENT_BYTES_IN_FLIGHT_MAX,
  GATEWAY_CONNECTION_BYTES_IN_FLIGHT_MAX,
  GATEWAY_LEADER_BYTES_IN_FLIGHT_MAX,
  invariant,
  PartitaError,
} from '@partita/domain';
import { ByteShare } from './byte-share.ts';
import type { Caller } from './caller.ts';

/** Which limit a request was shed by. */
export type ShedBy = 'connection' | 'client' | 'leader' | 'gateway' | 'partition';

/** In bytes. */
export interface InFlightLimits {
  readonly total: number;
  readonly client: number;
  readonly connection: number;
  readonly leader: number;
}

const DEFAULT_LIMITS: InFlightLimits = {
  total: GATEWAY_BYTES_IN_FLIGHT_MAX,
  client: GATEWAY_CLIENT_BYTES_IN_FLIGHT_MAX,
  connection: GATEWAY_CONNECTION_BYTES_IN_FLIGHT_MAX,
  leader: GATEWAY_LEADER_BYTES_IN_FLIGHT_MAX,
};

/** Those that are shed together come again at different times. */
const RETRY_MS_MIN = 200;
const RETRY_MS_MAX = 500;

/** What a request holds until it is answered. */
export interface HeldRequest {
  /**
   * Counts a part of the request as on its way to the leader (0 = nobody leads); or says why it may not be. `fraction` of all
   * that the request weighs, 0 to 1: what a call takes beside its records counts too, or it would fill what others find free.
   */
  toLeader(brokerId: number, fraction: number): PartitaError | undefined;
  /** The request is answered. Once. */
  release(): void;
}

export class InFlight {
  readonly #limits: InFlightLimits;
  readonly #onShed: (by: ShedBy) => void;
  readonly #total: ByteShare;
  readonly #clients = new Map<string, ByteShare>();
  readonly #connections = new Map<string, ByteShare>();

  constructor(onShed: (by: ShedBy) => void, limits: InFlightLimits = DEFAULT_LIMITS) {
    this.#limits = limits;
    this.#onShed = onShed;
    this.#total = new ByteShare(limits.total);
  }

  get bytes(): number {
    return this.#total.bytes;
  }

  /** Clients and connections that have something under way. */
  get holderCount(): number {
    return this.#clients.size + this.#connections.size;
  }

  /** Counts a request in, or throws QUEUE_FULL. */
  enter({ client, connection }: Caller, bytes: number): HeldRequest {
    const { total, client: clientMax, connection: connectionMax } = this.#limits;
    this.#check('connection', this.#connections.get(connection)?.bytes ?? 0, bytes, connectionMax);
    this.#check('client', this.#clients.get(client)?.bytes ?? 0, bytes, Math.min(clientMax, this.#total.free));
    this.#check('gateway', this.#total.bytes, bytes, total);
    const shares = [
      this.#total,
      shareOf(this.#clients, client, clientMax),
      shareOf(this.#connections, connection, connectionMax),
    ];
    for (const share of shares) share.add(bytes);
    const atLeaders: { readonly brokerId: number; readonly bytes: number }[] = [];
    let isHeld = true;
    return {
      toLeader: (brokerId, fraction) => {
        const part = Math.ceil(bytes * fraction);
        const refusal = this.#leaderFault(shares, brokerId, part);
        if (refusal !== undefined) return refusal;
        atLeaders.push({ brokerId, bytes: part });
        for (const share of shares) share.addAtLeader(brokerId, part);
        return undefined;
      },
      release: () => {
        invariant(isHeld, 'a request is released once');
        isHeld = false;
        for (const share of shares) {
          share.add(-bytes);
          for (const at of atLeaders) share.addAtLeader(at.brokerId, -at.bytes);
        }
        dropIdle(this.#clients, client);
        dropIdle(this.#connections, connection);
      },
    };
  }

  #check(by: keyof typeof TEXTS, held: number, bytes: number, max: number): void {
    if (held === 0 || held + bytes <= max) return;
    this.#onShed(by);
    throw full(by, max);
  }

  #leaderFault(shares: readonly ByteShare[], brokerId: number, bytes: number): PartitaError | undefined {
    let max = this.#limits.leader;
    for (const share of shares) {
      max = Math.min(max, share.free);
      const held = share.atLeader(brokerId);
      if (held === 0 || held + bytes <= max) continue;
      this.#onShed('leader');
      return full('leader', max, { broker_id: String(brokerId) });
    }
    return undefined;
  }
}

function shareOf(shares: Map<string, ByteShare>, key: string, bytesMax: number): ByteShare {
  let share = shares.get(key);
  if (share === undefined) shares.set(key, (share = new ByteShare(bytesMax)));
  return share;
}

/** Two requests of one holder have the same share, so it stays while either is under way. */
function dropIdle(shares: Map<string, ByteShare>, key: string): void {
  if (shares.get(key)?.bytes === 0) shares.delete(key);
}

const TEXTS: Readonly<Record<Exclude<ShedBy, 'partition'>, string>> = {
  connection: 'this connection has as many bytes under way as it may; wait for answers',
  client: 'this client has as many bytes under way as it may; wait for answers',
  leader: 'the broker that leads the partition takes records slower than they come; other partitions may go on',
  gateway: 'the gateway holds as many bytes as it may; slow down',
};

function full(by: keyof typeof TEXTS, max: number, more: Readonly<Record<string, string>> = {}): PartitaError {
  const retryAfterMs = Math.round(RETRY_MS_MIN + Math.random() * (RETRY_MS_MAX - RETRY_MS_MIN));
  return new PartitaError('QUEUE_FULL', TEXTS[by], { queue: by, limit: String(max), ...more }, { retryAfterMs });
}
