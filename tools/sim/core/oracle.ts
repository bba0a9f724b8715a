/**
 * Sees every replica of one partition at once and holds them to the invariants (REPLICATION, section 1) after each event:
 * I1 to I4, I6 to I8 here, I5 by the chain that batches form, I13, I14 and I16 by session-oracle.ts. What an operator gave up is counted, not excused silently.
 * Who reads below a watermark reads what is committed (I10), since no two replicas commit differently (I3). Not here: I9, as
 * nothing but a trim deletes in this world, and I20, whose scripts have a suite of their own in libs/metadata-store.
 */
import type { PromiseReply } from '@partita/cluster';
import type { AppendOutcome, DurableMeta, ReplicaConfig } from '@partita/replication';
import { ConfigOracle, isIn } from './config-oracle.ts';
import { electionQuorumOf } from './quorum.ts';
import type { Replica } from './replica.ts';
import type { ReplicaDisk } from './replica-disk.ts';
import type { AckedAppend, SentAppend } from './sent-append.ts';
import { SessionOracle } from './session-oracle.ts';
import { SnapshotShelf } from './snapshot-shelf.ts';
import { differingBatch, isStoredAs } from './replica-disk.ts';
import { isInChain } from './stored-batch.ts';
import type { StoredBatch } from './stored-batch.ts';
import type { World } from './world.ts';

/** An epoch that began: who led it, on what. */
interface Epoch {
  readonly epoch: number;
  readonly disk: ReplicaDisk;
  readonly first: StoredBatch;
}

export class Oracle {
  readonly #world: World;
  /** Every replica that there ever was; a wiped one stays, with what it had acknowledged. */
  readonly #members: ReplicaDisk[];
  /** Wiped or deleted. */
  readonly #wiped = new Set<ReplicaDisk>();
  readonly #epochs: Epoch[] = [];
  /** Committed batches in log order, which is one order for all (I3). */
  readonly #committed: StoredBatch[] = [];
  readonly #committedAt = new Map<bigint, StoredBatch>();
  readonly #grants = new Map<string, string>();
  readonly #grantMax = new Map<string, number>();
  readonly #acked: AckedAppend[] = [];
  readonly #refused = new Set<number>();
  readonly #unknown = new Set<number>();
  readonly snapshots = new SnapshotShelf();
  readonly sessions = new SessionOracle();
  readonly configs: ConfigOracle;
  /** Epochs begun by an operator who accepted losses. */
  uncleanCount = 0;

  constructor(world: World, members: readonly ReplicaDisk[], initial: ReplicaConfig) {
    this.#world = world;
    this.#members = [...members];
    this.configs = new ConfigOracle(initial);
  }

  get committedEnd(): bigint {
    return this.#committed.at(-1)?.endOffset ?? 0n;
  }

  get members(): readonly ReplicaDisk[] {
    return this.#members;
  }

  /** Members that still exist. */
  get survivors(): ReplicaDisk[] {
    return this.#members.filter((disk) => !this.#wiped.has(disk));
  }

  /** A replica is made while the partition serves. */
  made(disk: ReplicaDisk): void {
    if (this.#members.some(({ identity }) => identity.replicaId === disk.identity.replicaId))
      this.#broken('I8', 'a replica is made that was there before', disk);
    this.#members.push(disk);
  }

  wiped(disk: ReplicaDisk): void {
    this.#wiped.add(disk);
  }

  // What happens to logs.

  /** A leader appends. */
  appends(disk: ReplicaDisk, batch: StoredBatch): void {
    const { promisedEpoch, ledEpoch } = disk.meta;
    const { leaderEpoch, appendTimeMs, previous } = batch;
    if (leaderEpoch < promisedEpoch)
      this.#broken('I7', `appends in epoch ${leaderEpoch}, promised ${promisedEpoch}`, disk);
    if (leaderEpoch !== ledEpoch) this.#broken('I2', `appends in epoch ${leaderEpoch}, journaled ${ledEpoch}`, disk);
    if (previous !== undefined && appendTimeMs < previous.appendTimeMs) this.#broken('I3', 'append times fall', disk);
    const epoch = this.#epochs.find((known) => known.epoch === leaderEpoch);
    if (batch.control === undefined && epoch?.disk !== disk) this.#broken('I2', `appends in an epoch of another`, disk);
  }

  /** An epoch's first record is in a leader's log: that log decides what the epoch knows. */
  epochBegins(disk: ReplicaDisk, first: StoredBatch, unclean: boolean): void {
    const { tally } = this.#world;
    const epoch = first.leaderEpoch;
    tally.add('epochs begun');
    if (disk.meta.suspect && !unclean) this.#broken('I8', `a suspect replica leads epoch ${epoch}`, disk);
    if (this.#epochs.some((known) => known.epoch === epoch)) this.#broken('I2', `epoch ${epoch} begins twice`, disk);
    if (this.#epochs.some((known) => known.epoch > epoch)) tally.add('seen: stale leader elected');
    if (unclean) this.#giveUp(disk);
    this.#epochs.push({ epoch, disk, first });
    this.#epochs.sort((a, b) => a.epoch - b.epoch);
    const newest = this.#committed.findLast(({ committedIn }) => committedIn < epoch);
    if (newest !== undefined && !isInChain(newest, first))
      this.#broken(
        'I4',
        `epoch ${epoch} lacks what epoch ${newest.committedIn} committed at ${newest.baseOffset}`,
        disk,
      );
  }

  /** A follower stores what its leader sent. */
  stores(disk: ReplicaDisk, batch: StoredBatch): void {
    if (batch.previous !== disk.tip)
      this.#broken('I5', `a batch at ${batch.baseOffset} follows another than at its leader`, disk);
    const granted = this.#grantMax.get(disk.identity.replicaId) ?? 0;
    if (batch.leaderEpoch > disk.meta.promisedEpoch)
      this.#broken(
        'I7',
        `stores epoch ${batch.leaderEpoch}, promised ${disk.meta.promisedEpoch}, granted ${granted}`,
        disk,
      );
  }

  cuts(disk: ReplicaDisk, toOffset: bigint): void {
    if (toOffset < disk.highWatermarkMax)
      this.#broken('I6', `cut to ${toOffset}, below its high watermark ${disk.highWatermarkMax}`, disk);
  }

  /** A follower tells a leader what it holds. */
  acks(disk: ReplicaDisk, epoch: number, durableEnd: bigint): void {
    if (epoch < (this.#grantMax.get(disk.identity.replicaId) ?? 0))
      this.#broken('I7', `acknowledges in epoch ${epoch} after a higher grant`, disk);
    if (durableEnd > disk.durableEnd)
      this.#broken('I1', `acknowledges ${durableEnd}, durable ${disk.durableEnd}`, disk);
  }

  // Promises.

  journals(disk: ReplicaDisk, meta: DurableMeta): void {
    const before = disk.meta;
    const isLower = meta.promisedEpoch < before.promisedEpoch || meta.configFloor < before.configFloor;
    if (isLower || meta.ledEpoch < before.ledEpoch) this.#broken('I7', 'a journal entry falls', disk);
    if (meta.ledEpoch > meta.promisedEpoch) this.#broken('I7', 'leads what it has not promised', disk);
    if (before.suspect && !meta.suspect && meta.ledEpoch === before.ledEpoch) this.#clears(disk);
  }

  /** A replica counts again: whatever it had acknowledged and lost it has by now. */
  #clears(disk: ReplicaDisk): void {
    disk.isDamaged = false;
    this.#world.tally.add('seen: suspect cleared');
    const { promisedEpoch } = disk.meta;
    const lost = [...disk.lost].findLast(
      (batch) => this.#committedAt.get(batch.baseOffset) === batch && batch.committedIn <= promisedEpoch,
    );
    if (lost !== undefined && !disk.holds(lost))
      this.#broken('I8', `counts again without what it lost at ${lost.baseOffset}`, disk);
  }

  grants({ disk, log, state }: Replica, epoch: number, nonce: string): void {
    const { replicaId } = disk.identity;
    if (disk.meta.promisedEpoch < epoch) this.#broken('I7', `grants ${epoch} before it is on disk`, disk);
    if (this.#wiped.has(disk) || (this.configs.isRemoved(disk) && this.uncleanCount === 0))
      this.#broken('I8', `grants epoch ${epoch}, is removed`, disk);
    const key = `${replicaId} ${epoch}`;
    const known = this.#grants.get(key);
    if (known !== undefined && known !== nonce) this.#broken('I7', `grants epoch ${epoch} to two attempts`, disk);
    // What the first grant reports of the log is final, or the best log cannot be told from another.
    if (known === undefined && (state.durableEnd < state.logEnd || log.isChanging))
      this.#broken('I7', `grants epoch ${epoch} while its log changes`, disk);
    this.#grants.set(key, nonce);
    this.#grantMax.set(replicaId, Math.max(epoch, this.#grantMax.get(replicaId) ?? 0));
  }

  /** A coordinator has found a leader: by a quorum of replicas that may count. */
  elects(replies: readonly PromiseReply[], epoch: number): void {
    const [first] = this.#members;
    if (first === undefined) return;
    const config = this.configs.inForceBefore(epoch);
    const needed = electionQuorumOf(config);
    const counted = replies.filter(
      ({ granted, suspect, replica }) => granted && !suspect && isIn(config.replicas, replica),
    );
    if (counted.length < needed) this.#broken('I8', `elects by ${counted.length} of ${needed} promises`, first);
  }

  // Commitment.

  /** After every event of a replica. */
  look(replica: Replica): void {
    const { state, disk } = replica;
    const { logStart, highWatermark, durableEnd, logEnd } = state;
    if (logStart > highWatermark || highWatermark > durableEnd || durableEnd > logEnd || durableEnd > disk.durableEnd)
      this.#broken('I6', `ends out of order: ${logStart}, ${highWatermark}, ${durableEnd}, ${logEnd}`, disk);
    const { role, following } = state;
    const isLeading = role.kind === 'leader' || replica.seenLeading;
    replica.seenLeading = role.kind === 'leader';
    // A leader may commit and step down in one step: then it is the epoch before that counts.
    if (role.kind === 'leader') replica.seenEpoch = role.epoch;
    else if (following !== undefined) replica.seenEpoch = following.epoch;
    if (highWatermark === replica.seenHighWatermark) {
      this.#knowsConfigs(replica);
      return;
    }
    const isNewLog = replica.seenInstallCount !== disk.installCount;
    replica.seenInstallCount = disk.installCount;
    if (highWatermark < replica.seenHighWatermark && this.uncleanCount === 0 && !isNewLog)
      this.#broken('I6', `the high watermark falls from ${replica.seenHighWatermark} to ${highWatermark}`, disk);
    if (highWatermark > replica.seenHighWatermark) this.#commits(replica, replica.seenHighWatermark, isLeading);
    this.#knowsConfigs(replica);
    replica.seenHighWatermark = highWatermark;
    if (highWatermark > disk.highWatermarkMax) disk.highWatermarkMax = highWatermark;
  }

  /** Nobody takes a replica set for the one in force before it is committed. */
  #knowsConfigs({ state, disk }: Replica): void {
    const fault = this.uncleanCount === 0 ? this.configs.fault(state) : undefined;
    if (fault !== undefined) this.#broken('I3', fault, disk);
  }

  #commits(replica: Replica, from: bigint, isLeading: boolean): void {
    const { disk, state } = replica;
    const { highWatermark } = state;
    const epoch = replica.seenEpoch;
    const fresh: StoredBatch[] = [];
    for (let index = disk.indexAbove(from); index < disk.batches.length; index += 1) {
      const batch = disk.batches[index];
      if (batch === undefined || batch.endOffset > highWatermark) break;
      const known = this.#committedAt.get(batch.baseOffset);
      if (known === batch) continue;
      if (known !== undefined) this.#broken('I3', `two records committed at ${batch.baseOffset}`, disk);
      const sets = this.configs.setsFor(batch);
      this.#commit(batch, epoch, disk);
      fresh.push(batch);
      const isLast = batch.endOffset === highWatermark;
      if (isLeading && (isLast || sets.length > 1)) this.#isHeldByEnough(fresh, sets, disk);
    }
  }

  #commit(batch: StoredBatch, epoch: number, disk: ReplicaDisk): void {
    batch.committedIn = epoch;
    this.#committed.push(batch);
    this.#committedAt.set(batch.baseOffset, batch);
    this.#world.tally.add('batches committed');
    const misstep = this.configs.commit(batch, this.#world.tally);
    if (misstep !== undefined && this.uncleanCount === 0) this.#broken('I3', misstep, disk);
    const fault = this.sessions.commit(batch);
    if (fault !== undefined) this.#world.violate(`${fault} (${disk.identity.replicaId})`);
    if (this.#refused.has(batch.appendId))
      this.#broken('I11', `append ${batch.appendId} was refused and is committed`, disk);
    if (this.#unknown.delete(batch.appendId)) this.#world.tally.add('seen: OUTCOME_UNKNOWN kept');
    for (let index = this.#epochs.length - 1; index >= 0; index -= 1) {
      const later = this.#epochs[index];
      if (later === undefined || later.epoch <= epoch) break;
      if (!isInChain(batch, later.first))
        this.#broken('I1', `epoch ${epoch} commits at ${batch.baseOffset} what epoch ${later.epoch} lacks`, disk);
    }
  }

  /**
   * What is committed is durable on m replicas of a set that has to agree, those included that had it and lost it since. Where m have it now, it was
   * not committed by the word of one that has lost it: that one may count again before it has it.
   */
  #isHeldByEnough(fresh: readonly StoredBatch[], sets: readonly ReplicaConfig[], leader: ReplicaDisk): void {
    const top = fresh.at(-1);
    if (top === undefined) return;
    let isHeldNow = true;
    for (const { minInSyncReplicas, replicas } of sets) {
      const members = this.#members.filter(({ identity }) => isIn(replicas, identity));
      const holders = members.filter((disk) => !this.#wiped.has(disk) && disk.holds(top)).length;
      const had = members.filter((disk) => this.#wiped.has(disk) || disk.lost.has(top) || disk.holds(top)).length;
      if (had < minInSyncReplicas)
        this.#broken('I1', `committed at ${top.baseOffset} on ${had} of ${minInSyncReplicas} replicas`, leader);
      isHeldNow &&= holders >= minInSyncReplicas;
    }
    if (!isHeldNow) return;
    for (const disk of this.#members) {
      if (disk.lost.size > 0) for (const batch of fresh) if (!disk.holds(batch)) disk.lost.delete(batch);
    }
  }

  // Clients.

  answers(replica: Replica, sent: SentAppend, outcome: AppendOutcome): void {
    const { tally } = this.#world;
    const { disk } = replica;
    const { appendId, acks, producer } = sent;
    if (!outcome.ok) {
      tally.add(`appends answered ${outcome.error.reason}`);
      if (outcome.error.reason === 'OUTCOME_UNKNOWN') this.#doubt(appendId);
      else if (producer === undefined) this.#refuse(appendId, disk);
      else {
        const fault = this.sessions.refused(appendId, producer, outcome.error, disk.tip);
        if (fault !== undefined) this.#world.violate(`${fault} (${disk.identity.replicaId})`);
      }
      return;
    }
    tally.add(`appends acknowledged, acks=${acks}`);
    this.look(replica);
    const { baseOffset, leaderEpoch } = outcome.stamp;
    const epoch = outcome.duplicate ? replica.seenEpoch : leaderEpoch;
    if (epoch < (this.#grantMax.get(disk.identity.replicaId) ?? 0))
      this.#broken('I7', `acknowledges an append in epoch ${epoch} after a higher grant`, disk);
    if (outcome.duplicate) this.#repeats(replica, appendId, outcome);
    if (acks === 'leader') {
      if (baseOffset >= disk.durableEnd) this.#broken('I1', `acks=leader at ${baseOffset} is not durable`, disk);
      return;
    }
    if (this.#committedAt.get(baseOffset)?.appendId !== appendId)
      this.#broken(
        outcome.duplicate ? 'I15' : 'I1',
        `append ${appendId} is acknowledged at ${baseOffset} and not committed`,
        disk,
      );
    this.#acked.push({ appendId, offset: baseOffset });
  }

  /** A duplicate gets what its original got, which the leader has, unless it is deleted by now. */
  #repeats({ disk, seenEpoch }: Replica, appendId: number, { stamp }: Extract<AppendOutcome, { ok: true }>): void {
    const { tally } = this.#world;
    tally.add('seen: duplicate answered');
    if (stamp.leaderEpoch < seenEpoch) tally.add('seen: duplicate answered by a later leader');
    if (!isStoredAs(disk, appendId, stamp))
      this.#broken('I15', `append ${appendId} is said to lie at ${stamp.baseOffset} already`, disk);
  }

  /** I16, after whatever changes a log otherwise than by an append, and when an epoch begins. */
  knowsSessions({ disk, state, log }: Replica): void {
    if (log.isChanging) return;
    const fault = this.sessions.fault(state, disk.tip);
    if (fault !== undefined) this.#world.violate(`${fault} (${disk.identity.replicaId})`);
  }

  /** Appends that nobody will hear of count as unknown, too. */
  #doubt(appendId: number): void {
    if (this.#committed.some((batch) => batch.appendId === appendId))
      this.#world.tally.add('seen: OUTCOME_UNKNOWN kept');
    else this.#unknown.add(appendId);
  }

  #refuse(appendId: number, disk: ReplicaDisk): void {
    this.#refused.add(appendId);
    if (this.#committed.some((batch) => batch.appendId === appendId))
      this.#broken('I11', `append ${appendId} is committed and then refused`, disk);
  }

  // The end.

  /** Everything acknowledged is readable at the leader, and the others agree below what they say is committed. */
  checkEnd(leader: Replica, others: readonly Replica[]): void {
    const at = new Map<bigint, StoredBatch>();
    for (const batch of leader.disk.batches) at.set(batch.baseOffset, batch);
    const { highWatermark, logStart } = leader.state;
    for (const { appendId, offset } of this.#acked) {
      if (offset < logStart) continue;
      if (offset >= highWatermark || at.get(offset)?.appendId !== appendId)
        this.#broken('L1', `append ${appendId}, acknowledged at ${offset}, cannot be read`, leader.disk);
    }
    for (const replica of others) this.knowsSessions(replica);
    const refused = this.sessions.refusedAndKept(this.#committed);
    if (refused !== undefined)
      this.#broken('I11', `append ${refused} was refused each time and is committed`, leader.disk);
    for (const { disk, state } of others) {
      const differing = differingBatch(disk, state.highWatermark, leader.disk);
      if (differing !== undefined) this.#broken('L1', `logs differ at ${differing.baseOffset}`, disk);
    }
    if (this.#unknown.size > 0) this.#world.tally.add('seen: OUTCOME_UNKNOWN lost', this.#unknown.size);
  }

  /** An operator begins an epoch on a log that lacks committed records: they are gone, by his word. */
  #giveUp(disk: ReplicaDisk): void {
    this.uncleanCount += 1;
    this.#world.tally.add('seen: unclean lead');
    const own = new Set(disk.batches);
    const kept = this.#committed.filter((batch) => batch.endOffset <= disk.base.offset || own.has(batch));
    const lost = this.#committed.filter((batch) => batch.endOffset > disk.base.offset && !own.has(batch));
    if (lost.length === 0) return;
    this.#world.tally.add('batches given up by operators', lost.length);
    this.#committed.length = 0;
    this.#committed.push(...kept);
    this.sessions.restart(kept);
    this.configs.restart(kept);
    for (const batch of lost) this.#committedAt.delete(batch.baseOffset);
    const lostIds = new Set(lost.map(({ appendId }) => appendId));
    const acked = this.#acked.filter(({ appendId }) => !lostIds.has(appendId));
    this.#acked.length = 0;
    this.#acked.push(...acked);
    const [first] = lost.map(({ baseOffset }) => baseOffset);
    for (const member of this.#members) {
      if (first !== undefined && member.highWatermarkMax > first) member.highWatermarkMax = first;
    }
  }

  #broken(invariant: string, what: string, { identity }: ReplicaDisk): never {
    this.#world.violate(`${invariant}: ${what} (${identity.replicaId})`);
  }
}
