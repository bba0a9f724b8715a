/**
 * A replica on a log and a journal that a test moves by hand: nothing is durable before `sync` and `settleJournal`. Keeps
 * what everybody was told, and checks at each step what must hold at all times.
 */
import { invariant, ProducerTable } from '@partita/domain';
import type { ProducerFacts } from '@partita/domain';
import type {
  AppendInput,
  AppendOutcome,
  DurableMeta,
  JoinOutcome,
  LeadOutcome,
  PromiseOutcome,
  ReplicaEffect,
  ReplicaInput,
} from '../messages.ts';
import { step } from '../partition.ts';
import { recoveredState } from '../partition-state.ts';
import type { PartitionState } from '../partition-state.ts';
import type { ReplicaConfig } from '../replica-config.ts';

export const SELF = { brokerId: 1, directoryId: 'd1', replicaId: 'r1' };
const OTHERS = [2, 3].map((brokerId) => ({ brokerId, directoryId: `d${brokerId}`, replicaId: `r${brokerId}` }));

export function configOf(replicaCount: number, minInSyncReplicas: number): ReplicaConfig {
  const replicas = [SELF, ...OTHERS].slice(0, replicaCount);
  return { version: 1, replicas, learners: [], minInSyncReplicas, flush: 'fsync' };
}

interface StoredBatch {
  readonly producer: AppendInput['producer'];
  readonly appendTimeMs: bigint;
  readonly endOffset: bigint;
  readonly baseOffset: bigint;
  readonly epoch: number;
  /** Of a control record. */
  readonly config: ReplicaConfig | undefined;
}

export class TestReplica {
  readonly appends: AppendOutcome[] = [];
  readonly promises: PromiseOutcome[] = [];
  readonly leads: LeadOutcome[] = [];
  state: PartitionState;
  /** Set to refuse the next batches. */
  logIsFull = false;
  readonly #config: ReplicaConfig;
  #meta: DurableMeta = { promisedEpoch: 0, grantNonce: '', ledEpoch: 0, suspect: false, configFloor: 1 };
  #persisting: DurableMeta | undefined;
  #log: StoredBatch[] = [];
  #durableEnd = 0n;
  #highestGrant = 0;

  constructor(config: ReplicaConfig = configOf(1, 1)) {
    this.#config = config;
    this.state = this.#recover();
  }

  get hasPersistUnderWay(): boolean {
    return this.#persisting !== undefined;
  }

  feed(input: ReplicaInput): void {
    for (const effect of step(this.state, input)) this.#carryOut(effect);
    this.#check();
  }

  promise(epoch: number, nonce: string): void {
    this.feed({
      kind: 'promise',
      epoch,
      nonce,
      reply: (outcome) => {
        if (outcome.granted) {
          invariant(this.#meta.promisedEpoch >= epoch, 'a grant is durable before it is given');
          const logEnd = this.#log.at(-1)?.endOffset ?? 0n;
          const leadsIt = this.state.role.kind === 'leader' && this.state.role.epoch === epoch;
          invariant(leadsIt || outcome.logEnd === logEnd, 'what a grant reports of the log is final');
          this.#highestGrant = Math.max(this.#highestGrant, epoch);
        }
        this.promises.push(outcome);
      },
    });
  }

  lead(epoch: number, nonce: string, lastEpoch = this.lastEpoch, logEnd = this.state.durableEnd): void {
    const reply = (outcome: LeadOutcome) => this.leads.push(outcome);
    this.feed({ kind: 'lead', epoch, nonce, lastEpoch, logEnd, configFloor: 0, unclean: false, reply });
  }

  append(more: Partial<AppendInput> = {}): void {
    this.feed({
      kind: 'append',
      batch: new Uint8Array(1),
      recordCount: 1,
      acks: 'all',
      leaderEpoch: 0,
      expectedNextOffset: undefined,
      claimEpoch: 0,
      claim: undefined,
      producer: undefined,
      wallMs: 1000,
      deadlineMs: 1000,
      reply: (outcome) => this.#onAppended(outcome),
      ...more,
    });
  }

  /** The log becomes durable up to its end, or up to `count` batches more. */
  sync(count = Infinity): void {
    const waiting = this.#log.filter(({ endOffset }) => endOffset > this.#durableEnd);
    const last = waiting[Math.min(count, waiting.length) - 1];
    if (last === undefined) return;
    this.#durableEnd = last.endOffset;
    this.feed({ kind: 'synced', end: last.endOffset });
  }

  /** The journal entry under way becomes durable. */
  settleJournal(): void {
    if (this.#persisting === undefined) return;
    this.#meta = this.#persisting;
    this.#persisting = undefined;
    this.feed({ kind: 'journaled', wallMs: 1000 });
  }

  /** A follower without a log joins and has what is there. */
  joinedBy(brokerId: number): JoinOutcome | undefined {
    const { role, logEnd: durableEnd } = this.state;
    const epoch = role.kind === 'leader' ? role.epoch : 0;
    const nonce = `j${brokerId}`;
    const outcomes: JoinOutcome[] = [];
    const reply = (outcome: JoinOutcome) => outcomes.push(outcome);
    const join = { epoch, brokerId, replicaId: `r${brokerId}`, nonce, history: [], logEnd: 0n, configFloor: 0 };
    this.feed({ kind: 'join', ...join, reply });
    this.feed({ kind: 'follower-ack', epoch, brokerId, nonce, durableEnd, fsynced: true });
    return outcomes[0];
  }

  /** The whole election, everything durable at once. */
  elect(epoch: number): void {
    this.promise(epoch, `n${epoch}`);
    this.sync();
    this.settleJournal();
    this.lead(epoch, `n${epoch}`);
    this.settleJournal();
    this.sync();
  }

  /** Power loss: what was not durable is gone. */
  restart(): void {
    this.#log = this.#log.filter(({ endOffset }) => endOffset <= this.#durableEnd);
    this.#persisting = undefined;
    this.state = this.#recover();
  }

  get lastEpoch(): number {
    return this.#log.at(-1)?.epoch ?? 0;
  }

  get lastReasons(): string[] {
    return this.appends.map((outcome) => (outcome.ok ? 'ok' : outcome.error.reason));
  }

  #onAppended(outcome: AppendOutcome): void {
    this.appends.push(outcome);
    if (!outcome.ok) return;
    const { baseOffset, leaderEpoch } = outcome.stamp;
    invariant(baseOffset < this.#durableEnd, 'an acknowledged batch is durable');
    invariant(
      this.#log.some((batch) => batch.baseOffset === baseOffset && batch.epoch === leaderEpoch),
      'an acknowledged batch is in the log where the answer says',
    );
    invariant(
      outcome.duplicate || leaderEpoch >= this.#highestGrant,
      'nothing of a lower epoch is acknowledged after a grant',
    );
  }

  #carryOut(effect: ReplicaEffect): void {
    switch (effect.kind) {
      case 'append':
      case 'append-epoch-start':
      case 'append-config': {
        const { planned } = effect;
        if (this.logIsFull) {
          const error = new RangeError('full') as never;
          this.feed({ kind: 'log-refused', planned, error });
          return;
        }
        const { baseOffset, leaderEpoch: epoch, appendTimeMs } = planned.stamp;
        const producer = planned.request?.producer;
        invariant(epoch === this.#meta.ledEpoch, 'nobody appends in an epoch before its lead is durable');
        this.#log.push({
          baseOffset,
          endOffset: baseOffset + BigInt(planned.recordCount),
          epoch,
          producer,
          appendTimeMs,
          config: effect.kind === 'append' ? undefined : effect.config,
        });
        this.feed({ kind: 'log-took', planned });
        return;
      }
      case 'persist':
        invariant(this.#persisting === undefined, 'one journal entry is under way at a time');
        invariant(effect.meta.promisedEpoch >= this.#meta.promisedEpoch, 'a promise never falls');
        this.#persisting = effect.meta;
        return;
      case 'again':
        for (const input of effect.inputs) this.feed(input);
        return;
      case 'answer-append':
        effect.reply(effect.outcome);
        return;
      case 'answer-config':
        effect.reply(effect.outcome);
        return;
      case 'answer-pause':
        effect.reply(effect.logEnd);
        return;
      case 'answer-promise':
        effect.reply(effect.outcome);
        return;
      case 'answer-lead':
        effect.reply(effect.outcome);
        return;
      case 'answer-join':
        effect.reply(effect.outcome);
        return;
      default:
        return;
    }
  }

  #check(): void {
    const { logStart, highWatermark, durableEnd, logEnd, meta } = this.state;
    invariant(logStart <= highWatermark && highWatermark <= durableEnd && durableEnd <= logEnd, 'ends are in order');
    invariant(meta.ledEpoch <= meta.promisedEpoch, 'only a promised epoch is led');
  }

  #durableProducers(): ProducerFacts {
    const table = new ProducerTable();
    for (const { producer, baseOffset, appendTimeMs } of this.#log) {
      if (producer !== undefined) table.note(producer, baseOffset, appendTimeMs);
    }
    return table.facts(this.#log.at(-1)?.appendTimeMs ?? 0n);
  }

  /** Newest first, each version once. */
  #configs(): ReplicaConfig[] {
    const byVersion = new Map([[this.#config.version, this.#config]]);
    for (const { config } of this.#log) if (config !== undefined) byVersion.set(config.version, config);
    return [...byVersion.values()].sort((a, b) => b.version - a.version);
  }

  #recover(): PartitionState {
    const history = new Map<number, bigint>();
    for (const { epoch, baseOffset } of this.#log) if (!history.has(epoch)) history.set(epoch, baseOffset);
    return recoveredState({
      self: SELF,
      topicId: 't',
      partition: 0,
      meta: this.#meta,
      configs: this.#configs(),
      history: [...history].map(([epoch, startOffset]) => ({ epoch, startOffset, unclean: false })),
      logStart: 0n,
      logEnd: this.#durableEnd,
      highWatermark: 0n,
      dataEnd: this.#durableEnd,
      claim: { epoch: 0, instanceId: '' },
      lastAppendTimeMs: 0n,
      producers: this.#durableProducers(),
    });
  }
}
