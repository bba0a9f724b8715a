/**
 * Membership of a group: keeps one stream to the group's owner open until it is ended or fails for good, and comes back
 * with its member id after a lost one.
 */
import { asPartitaError, DELIVERY_TIMEOUT_MS, PartitaError } from '@partita/domain';
import type { ConsumeInitial, OffsetCommit } from '@partita/protocol';
import { isRetryable, retryAdviceOf } from '@partita/rpc';
import { backoffDelayMs } from '@partita/rpc/client';
import type { ChannelPool } from '@partita/rpc/client';
import type { CommitSpans } from './commit-spans.ts';
import { ConsumeLink } from './consume-link.ts';
import type { GroupMessage, MemberMessage } from './consume-link.ts';
import type { MemberName } from './consumer-options.ts';
import type { Endpoints } from './endpoints.ts';
import { JITTER } from './jitter.ts';
import { pause } from './pause.ts';

export interface MembershipOptions {
  readonly pool: ChannelPool;
  readonly endpoints: Endpoints;
  /** The first message of a stream. */
  initial(member: MemberName, noRelay: boolean): ConsumeInitial;
  onMessage(message: GroupMessage): void;
  /** The stream is gone. `isOut`: the membership too, the next one begins anew. */
  onStreamLost(error: PartitaError, isOut: boolean): void;
  /** It will not be tried again. */
  onFailed(error: PartitaError): void;
}

const LEAVE_MS_MAX = 3000;
const NEW_MEMBER: MemberName = { memberId: '', memberEpoch: 0 };

export class Membership {
  readonly #options: MembershipOptions;
  readonly #ending = new AbortController();
  #member = NEW_MEMBER;
  #link: ConsumeLink | undefined;
  #joined = false;
  #running: Promise<void> | undefined;
  /** Address of the group's owner, learnt from an instance that is not. */
  #ownerAddress: string | undefined;
  /** False once the owner could not be reached directly. */
  #direct = true;

  constructor(options: MembershipOptions) {
    this.#options = options;
  }

  /** Empty before the group gave one. */
  get memberId(): string {
    return this.#member.memberId;
  }

  get isJoined(): boolean {
    return this.#joined;
  }

  /** Resolves when nothing is under way any more. */
  get ended(): Promise<void> {
    return this.#running ?? Promise.resolve();
  }

  /** Joins; again without effect. */
  start(): void {
    this.#running ??= this.#run();
  }

  /** False when there is no stream on which the member has joined. */
  send(message: MemberMessage, traceparent = ''): boolean {
    if (!this.#joined || this.#link === undefined) return false;
    this.#link.send(message, traceparent);
    return true;
  }

  /** Opens another stream; the membership lives on. */
  reopen(): void {
    this.#link?.cancel();
  }

  /** Leaves the group with last commits; resolves when the stream is over. */
  async leave(offsets: OffsetCommit[], spans: CommitSpans): Promise<void> {
    const span = offsets.length === 0 ? undefined : spans.begin(offsets.length);
    try {
      this.send({ $case: 'leave', leave: { offsets } }, span?.traceparent);
      await this.#end();
    } finally {
      span?.end();
    }
  }

  /** Ends the stream and stays a member until the session time-out: who comes back by then finds its partitions. */
  stay(): Promise<void> {
    if (this.#joined) this.#link?.end();
    return this.#end();
  }

  /** Ends at once, saying nothing. */
  abandon(): void {
    this.#ending.abort();
    this.#link?.cancel();
  }

  async #end(): Promise<void> {
    this.#ending.abort();
    const link = this.#link;
    if (link !== undefined) {
      if (!this.#joined) link.cancel();
      const left = new AbortController();
      void link.closed.then(() => left.abort());
      void pause(LEAVE_MS_MAX, left.signal).then(() => link.cancel());
    }
    await this.#running;
  }

  #isEnding(): boolean {
    return this.#ending.signal.aborted;
  }

  async #run(): Promise<void> {
    const { signal } = this.#ending;
    let failingSinceMs: number | undefined;
    for (let attempt = 0; !this.#isEnding(); attempt += 1) {
      const outcome = await this.#session();
      if (this.#isEnding()) return;
      if (outcome.joined) {
        attempt = 0;
        failingSinceMs = undefined;
      }
      failingSinceMs ??= performance.now();
      const { error } = outcome;
      if (error !== undefined && isFinal(error, performance.now() - failingSinceMs)) {
        this.#options.onFailed(error);
        return;
      }
      // To the owner at once, but not in circles.
      if (error?.reason === 'NOT_GROUP_OWNER' && this.#ownerAddress !== undefined && attempt === 0) continue;
      await pause(error?.retryAfterMs ?? backoffDelayMs(attempt, JITTER), signal);
    }
  }

  /** One stream, from its opening to its end. */
  async #session(): Promise<{ joined: boolean; error: PartitaError | undefined }> {
    const { pool, endpoints } = this.#options;
    let address: string | undefined;
    let error: PartitaError | undefined;
    try {
      address = this.#ownerAddress ?? (await endpoints.addressOf('consumer-group'));
      if (this.#isEnding()) return { joined: false, error: undefined };
      const first = this.#options.initial(this.#member, this.#direct);
      const link = new ConsumeLink(pool, address, first, (message) => this.#onMessage(message));
      this.#link = link;
      error = await link.closed;
    } catch (thrown) {
      error = asPartitaError(thrown);
    }
    return { joined: this.#streamLost(error, address), error };
  }

  /** Forgets what belonged to the stream. True when the member had joined on it. */
  #streamLost(error: PartitaError | undefined, address: string | undefined): boolean {
    const joined = this.#joined;
    this.#joined = false;
    this.#link = undefined;
    if (error?.reason === 'NOT_GROUP_OWNER' && this.#direct) this.#ownerAddress = error.metadata['address'];
    else if (this.#ownerAddress !== undefined) {
      this.#ownerAddress = undefined;
      // An owner that cannot be reached from here is spoken to through another instance.
      if (!joined) this.#direct = false;
    } else if (address !== undefined && error?.reason === 'SERVICE_UNREACHABLE')
      this.#options.endpoints.suspect(address);
    const isOut = error !== undefined && retryAdviceOf(error) === 'REJOIN';
    if (isOut) this.#member = NEW_MEMBER;
    const reason = error ?? new PartitaError('SERVICE_UNREACHABLE', 'the stream to the group ended');
    this.#options.onStreamLost(reason, isOut);
    return joined;
  }

  #onMessage(message: GroupMessage): void {
    if (message.$case === 'joined') {
      const { memberId, memberEpoch } = message.joined;
      this.#member = { memberId, memberEpoch };
      this.#joined = true;
    }
    if (message.$case === 'assignment') this.#member = { ...this.#member, memberEpoch: message.assignment.memberEpoch };
    this.#options.onMessage(message);
  }
}

function isFinal(error: PartitaError, failingMs: number): boolean {
  if (failingMs > DELIVERY_TIMEOUT_MS) return true;
  // CANCELLED is our own doing here: the server was silent for too long.
  return !isRetryable(error) && error.reason !== 'CANCELLED';
}
