/**
 * Sessions of brokers. Every coordinator keeps one with every broker and hears the same; only the active one orders. A
 * broker whose session ends, or is silent for SESSION_SILENCE_MS_MAX, loses the leaderships under which it cannot commit.
 */
import {
  checkBrokerId,
  registerBroker,
  reportInSync,
  reportReplicas,
  resignedLeaders,
  reviseLeaders,
  setBrokerStatus,
} from '@partita/cluster';
import type { Tombstone, TopicDefinition } from '@partita/cluster';
import { BROKER_HEARTBEAT_MS, PartitaError, SESSION_SILENCE_MS_MAX } from '@partita/domain';
import type { Clock } from '@partita/domain';
import { BrokerSessionServiceService } from '@partita/protocol';
import type {
  BrokerHeartbeat,
  BrokerPeer,
  BrokerRegister,
  BrokerSessionRequest,
  BrokerSessionResponse,
} from '@partita/protocol';
import { bidi, implement } from '@partita/rpc/server';
import type { BidiHandlers, CallContext, DirectoryView, Implementation, ServerBidiStream } from '@partita/rpc/server';
import type { Logger } from '@partita/runtime';
import { settingsForPeer } from '../directory/cluster-settings-codec.ts';
import type { ClusterModel } from '../cluster-model.ts';
import type { Lease } from '../directory/lease.ts';
import {
  definitionFromMessage,
  inSyncReport,
  registrationFromMessage,
  reportFromMessage,
  tombstoneFromMessage,
} from '../peer-messages.ts';
import { directoryMessages } from './route-feed.ts';
import type { DirectoryNews } from './route-feed.ts';
import { checkNoTwin, checkPeer, endWhenDraining } from './session-rules.ts';

export interface BrokerSessionsOptions {
  readonly clusterId: string;
  readonly runId: string;
  readonly model: ClusterModel;
  readonly lease: Lease;
  readonly view: DirectoryView;
  readonly clock: Clock;
  readonly logger: Logger;
  /** A broker has registered, from this peer address, with these versions of topics. */
  readonly onRegistered: (brokerId: number, peerAddress: string, topics: readonly TopicDefinition[]) => void;
  /** A broker has stored these, on whose order ever. */
  readonly onStored: (topics: readonly TopicDefinition[], tombstones: readonly Tombstone[]) => void;
}

type Stream = ServerBidiStream<BrokerSessionResponse>;

/** Keeps sums with a broker's clock within what a message can hold. */
const CLOCK_OFFSET_MS_MAX = 1e12;

interface Session {
  readonly stream: Stream;
  readonly brokerId: number;
  readonly incarnation: bigint;
  heardAtMs: number;
  /** By how much the broker's wall clock was ahead of this one's, at its last message that told. */
  clockOffsetMs: number;
  /** Since when its leaders' reports say that they do not lead, by `<topic>/<partition>/<epoch>`. */
  resignedSinceMs: Map<string, number>;
}

export class BrokerSessions {
  readonly #options: BrokerSessionsOptions;
  readonly #sessions = new Map<number, Session>();
  /** Peer addresses as all sessions know them. */
  #peersSent = '';
  /** Number of the lease that all sessions have been shown. */
  #tokenShown = 0;

  constructor(options: BrokerSessionsOptions) {
    this.#options = options;
    options.view.onChange(({ changed, deleted, brokersChanged, endpointsChanged }) => {
      const { brokers, endpoints } = options.view.snapshot();
      const deletedTopicIds = deleted.map(({ topicId }) => topicId);
      const news = {
        routes: changed,
        deletedTopicIds,
        brokers: brokersChanged ? brokers : [],
        endpoints: endpointsChanged ? endpoints : [],
      };
      for (const session of this.#sessions.values()) this.#sendDirectory(session.stream, { reset: false, ...news });
    });
    options.model.onChange(({ brokerIds, settings }) => {
      if (brokerIds.size > 0) this.#sendPeers();
      if (settings) this.#sendSettings();
    });
    options.lease.onChange(() => this.#showLease());
  }

  service(): Implementation<BrokerSessionServiceService> {
    return implement(BrokerSessionServiceService, {
      brokerSession: bidi((stream, context) => this.#open(stream, context)),
    });
  }

  /** Heartbeats to brokers, and a look at who has gone silent or resigned. Called each BROKER_HEARTBEAT_MS. */
  tick(): void {
    const nowMs = this.#options.clock.monotonicMs();
    const active = this.#options.lease.mayOrder();
    const wallMs = BigInt(Math.round(this.#options.clock.wallMs()));
    const brokersWallMs = wallMs + BigInt(Math.round(this.#medianClockOffsetMs()));
    for (const session of [...this.#sessions.values()]) {
      if (nowMs - session.heardAtMs > SESSION_SILENCE_MS_MAX) {
        this.#end(session, `nothing heard for ${SESSION_SILENCE_MS_MAX} ms`);
        continue;
      }
      session.stream.send({ message: { $case: 'heartbeat', heartbeat: { active, wallMs, brokersWallMs } } });
      this.#watchResignations(session, nowMs);
    }
    this.#options.model.apply(reviseLeaders(this.#options.model.state));
  }

  #open(stream: Stream, context: CallContext): BidiHandlers<BrokerSessionRequest> {
    let session: Session | undefined;
    endWhenDraining(stream, context);
    return {
      onMessage: ({ message }) => {
        if (session === undefined) {
          if (message?.$case !== 'register')
            throw new PartitaError('STREAM_ORDER', 'the first message of a broker session is `register`');
          session = this.#register(stream, message.register);
          return;
        }
        // A session that was replaced or given up has no say any more.
        if (this.#sessions.get(session.brokerId) !== session) return;
        session.heardAtMs = this.#options.clock.monotonicMs();
        if (message?.$case === 'heartbeat') this.#takeHeartbeat(session, message.heartbeat);
        else if (message?.$case === 'reportIsr') this.#takeInSync(session, message.reportIsr.entries.map(inSyncReport));
        else if (message?.$case === 'register')
          throw new PartitaError('STREAM_ORDER', 'a broker registers once in a session: open a new one');
      },
      onClose: (error) => {
        if (session !== undefined) this.#end(session, error?.message ?? 'closed by the broker');
      },
    };
  }

  #register(stream: Stream, message: BrokerRegister): Session {
    const { model, clock, clusterId, runId, lease, logger, onRegistered } = this.#options;
    checkPeer(message, clusterId);
    const registration = registrationFromMessage(message);
    checkBrokerId(model.state, registration);
    const { brokerId, incarnation, peerAddress, replicas, topics } = registration;
    const replaced = this.#sessions.get(brokerId);
    checkNoTwin(registration, replaced, clock.monotonicMs());
    const session = {
      stream,
      brokerId,
      incarnation,
      heardAtMs: clock.monotonicMs(),
      clockOffsetMs: clockOffset(message.wallMs, clock.wallMs()),
      resignedSinceMs: new Map<string, number>(),
    };
    this.#sessions.set(brokerId, session);
    replaced?.stream.end(new PartitaError('CANCELLED', 'the broker has opened another session'));
    model.apply(registerBroker(model.state, registration, clock.wallMs()));
    model.mergeInventory(registration);
    lease.heard(brokerId);
    model.apply(reviseLeaders(model.state));
    model.progress.note(model.state, brokerId, replicas, clock.monotonicMs());
    logger.info(
      { brokerId, incarnation, peerAddress, replicas: replicas.length, topics: topics.length },
      'broker registered',
    );
    const accepted = { coordinatorRunId: runId, heartbeatMs: BROKER_HEARTBEAT_MS, active: lease.mayOrder() };
    stream.send({ message: { $case: 'accepted', accepted } });
    this.#sendAll(stream);
    this.#sendSettings([session]);
    onRegistered(brokerId, peerAddress, topics);
    return session;
  }

  #takeHeartbeat(session: Session, heartbeat: BrokerHeartbeat): void {
    const { model, clock, lease, onStored } = this.#options;
    const { changed, freeBytes, draining, wallMs, topics, tombstones } = heartbeat;
    const { brokerId } = session;
    session.clockOffsetMs = clockOffset(wallMs, clock.wallMs());
    // First, so that what is said of replicas meets the topics that they are of.
    if (topics.length + tombstones.length > 0)
      onStored(topics.map(definitionFromMessage), tombstones.map(tombstoneFromMessage));
    if (changed.length > 0) {
      const reports = changed.map(reportFromMessage);
      model.apply(reportReplicas(model.state, brokerId, reports));
      model.apply(reviseLeaders(model.state, reports));
      model.progress.note(model.state, brokerId, reports, clock.monotonicMs());
    }
    lease.heard(brokerId);
    model.apply([{ type: 'disk_reported', brokerId, freeBytes }]);
    if (draining) model.apply(setBrokerStatus(model.state, brokerId, 'draining', clock.wallMs()));
  }

  #takeInSync({ brokerId }: Session, reports: Parameters<typeof reportInSync>[2]): void {
    const { model } = this.#options;
    model.apply(reportInSync(model.state, brokerId, reports));
  }

  /** By how much each broker's wall clock is ahead of this one's. */
  clockOffsetsMs(): ReadonlyMap<number, number> {
    return new Map([...this.#sessions.values()].map((session) => [session.brokerId, session.clockOffsetMs]));
  }

  /** By how much the brokers' wall clocks are ahead of this one's. */
  #medianClockOffsetMs(): number {
    const offsets = [...this.#sessions.values()].map((session) => session.clockOffsetMs).sort((a, b) => a - b);
    return offsets[Math.floor(offsets.length / 2)] ?? 0;
  }

  /** A leader that says for as long as silence may last that it does not lead has resigned, whether or not it can prove it. */
  #watchResignations(session: Session, nowMs: number): void {
    const { model } = this.#options;
    const since = new Map<string, number>();
    for (const { topicId, partition, epoch } of resignedLeaders(model.state, session.brokerId)) {
      const key = `${topicId}/${partition}/${epoch}`;
      const sinceMs = session.resignedSinceMs.get(key) ?? nowMs;
      since.set(key, sinceMs);
      if (nowMs - sinceMs > SESSION_SILENCE_MS_MAX) model.apply([{ type: 'leader_lost', topicId, partition }]);
    }
    session.resignedSinceMs = since;
  }

  #end(session: Session, why: string): void {
    const { model, clock, logger } = this.#options;
    if (this.#sessions.get(session.brokerId) !== session) return;
    this.#sessions.delete(session.brokerId);
    session.stream.end(new PartitaError('CANCELLED', `the session is over: ${why}`));
    model.apply(setBrokerStatus(model.state, session.brokerId, 'down', clock.wallMs()));
    model.apply(reviseLeaders(model.state));
    logger.warn({ brokerId: session.brokerId, incarnation: session.incarnation, why }, 'broker lost');
  }

  /** `peers` goes with the last part: who has it has the whole. */
  #sendDirectory(stream: Stream, news: DirectoryNews, peers: BrokerPeer[] = []): void {
    const leaseToken = BigInt(this.#options.lease.tokenNumber());
    for (const routes of directoryMessages(this.#options.view, news)) {
      const directory = { routes, leaseToken, peers: routes.complete ? peers : [], settings: undefined };
      stream.send({ message: { $case: 'directory', directory } });
    }
  }

  /** A broker keeps them, should the directory be lost. */
  #sendSettings(sessions: Iterable<Session> = this.#sessions.values()): void {
    const settings = settingsForPeer(this.#options.model.state.settings());
    const leaseToken = BigInt(this.#options.lease.tokenNumber());
    if (settings.version === 0n) return;
    for (const { stream } of sessions) {
      const directory = { routes: undefined, leaseToken, peers: [], settings };
      stream.send({ message: { $case: 'directory', directory } });
    }
  }

  /** What was said under an older lease, or under none, brokers may have passed over. */
  #showLease(): void {
    const token = this.#options.lease.tokenNumber();
    if (token === this.#tokenShown) return;
    this.#tokenShown = token;
    for (const { stream } of this.#sessions.values()) this.#sendAll(stream);
  }

  #sendAll(stream: Stream): void {
    const { routes, brokers, endpoints } = this.#options.view.snapshot();
    this.#sendDirectory(stream, { reset: true, routes, deletedTopicIds: [], brokers, endpoints }, this.#peers());
  }

  /** Silent brokers too: they may answer their peers. */
  #peers(): BrokerPeer[] {
    return [...this.#options.model.state.brokers()]
      .map(({ facts: { brokerId, peerAddress } }) => ({ brokerId, peerAddress }))
      .sort((a, b) => a.brokerId - b.brokerId);
  }

  #sendPeers(): void {
    const peers = this.#peers();
    const text = JSON.stringify(peers);
    if (text === this.#peersSent) return;
    this.#peersSent = text;
    const nothing = { reset: false, routes: [], deletedTopicIds: [], brokers: [], endpoints: [] };
    for (const session of this.#sessions.values()) this.#sendDirectory(session.stream, nothing, peers);
  }
}

/** By how much a broker's clock is ahead; one that is off by decades is as wrong as it needs to be. */
function clockOffset(brokerMs: bigint, wallMs: number): number {
  return Math.max(-CLOCK_OFFSET_MS_MAX, Math.min(CLOCK_OFFSET_MS_MAX, Number(brokerMs) - wallMs));
}
