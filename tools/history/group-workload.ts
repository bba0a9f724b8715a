/**
 * Members of a group that come, go, crash, stand still and lose their streams while things happen to their cluster, beside
 * producers (workload.ts). It ends calmly: what is left of the members goes on until the group has everything.
 */
import { pause } from '@partita/client';
import { GroupServiceService } from '@partita/protocol';
import { ChannelPool } from '@partita/rpc/client';
import { callOwner } from './group-calls.ts';
import type { GroupMember } from './group-member.ts';
import { newMemberFigures } from './group-site.ts';
import type { GroupSite, MemberFigures } from './group-site.ts';
import { offsetsOf, recordsOf } from './history.ts';
import { occupySeat } from './member-seat.ts';
import type { Mishap } from './member-seat.ts';
import type { Recorder } from './recorder.ts';
import { entryOf } from './rising.ts';

export interface GroupWorkloadOptions {
  readonly group: string;
  /** It exists, and keeps its records. */
  readonly topic: string;
  readonly recorder: Recorder;
  /** Addresses of the instances of the consumer-group service, which they keep when they start again. */
  readonly addresses: readonly string[];
  /** One seat each; what happens to its members in turn. Default: SEATS. */
  readonly seats?: readonly (readonly Mishap[])[];
}

/** Everything that can happen, in each order of two; the last two are seats of static members. */
export const SEATS: readonly (readonly Mishap[])[] = [
  ['break', 'leave', 'crash'],
  ['stall', 'crash', 'leave'],
  ['crash', 'break', 'stall'],
  ['restart', 'replace'],
];
const LEAVE_MS_MAX = 5000;
const LOOK_MS = 200;

export class GroupWorkload {
  readonly #site: GroupSite;
  readonly #calm = new AbortController();
  readonly #seats: Promise<GroupMember>[];
  #members: readonly GroupMember[] = [];

  /** Begins at once. */
  constructor({ group, topic, recorder, addresses, seats }: GroupWorkloadOptions) {
    const pool = new ChannelPool({ clientId: 'history-member' });
    this.#site = { group, topic, recorder, addresses, pool, figures: newMemberFigures() };
    this.#seats = (seats ?? SEATS).map((mishaps, number) => {
      const isStatic = mishaps.includes('restart') || mishaps.includes('replace');
      return occupySeat(
        this.#site,
        { number, mishaps, instanceId: isStatic ? `seat-${number}` : '' },
        this.#calm.signal,
      );
    });
  }

  get figures(): MemberFigures {
    return this.#site.figures;
  }

  /**
   * Moves the group back in every partition, each to half of what it is known to have committed, as an operator does, one by
   * one, and writes it down. Answers how many were moved.
   */
  async resetToHalf(): Promise<number> {
    const { group, topic, recorder } = this.#site;
    const process = recorder.newProcess();
    let movedCount = 0;
    for (const [key, committed] of this.#committed()) {
      const offset = Math.floor(committed / 2);
      const partition = Number(key.slice(key.lastIndexOf('-') + 1));
      const told = { f: 'commit' as const, process, group, offsets: { [key]: offset } };
      const op = recorder.invoke(told);
      const position = { position: { $case: 'offset' as const, offset: BigInt(offset) } };
      const target = { $case: 'position' as const, position };
      const request = { group, topic, partitions: [partition], target, validateOnly: false };
      try {
        await callOwner(this.#site, GroupServiceService.resetOffsets, request);
        recorder.complete(op, 'ok', told);
        movedCount += 1;
      } catch (error) {
        recorder.complete(op, 'info', { ...told, error: String(error) });
      }
    }
    return movedCount;
  }

  /** Nothing more happens to the members. Resolves when each seat has one that stays. */
  async calmDown(): Promise<void> {
    this.#calm.abort();
    this.#members = await Promise.all(this.#seats);
  }

  /**
   * After `calmDown`, and when all sends have ended: waits until every acknowledged record was given to some member, and the
   * group's lag is 0. Answers what is still missing when that takes too long.
   */
  async untilConsumed(secondsMax: number): Promise<string[]> {
    const deadlineMs = performance.now() + secondsMax * 1000;
    for (;;) {
      const missing = this.#missing();
      if (missing.length === 0) missing.push(...(await this.#lagging()));
      if (missing.length === 0 || performance.now() > deadlineMs) return missing;
      await pause(LOOK_MS);
    }
  }

  /** The members leave. Every operation has its completion afterwards. */
  async stop(): Promise<void> {
    if (!this.#calm.signal.aborted) await this.calmDown();
    await Promise.all(this.#members.map((member) => member.leave(LEAVE_MS_MAX)));
    this.#site.pool.close();
  }

  #committed(): Map<string, number> {
    const committed = new Map<string, number>();
    for (const event of this.#site.recorder.events) {
      if (event.f !== 'commit' || event.type !== 'ok' || event.member === undefined) continue;
      for (const [key, offset] of Object.entries(event.offsets)) committed.set(key, offset);
    }
    return committed;
  }

  #missing(): string[] {
    const { events } = this.#site.recorder;
    const given = new Map<string, Set<number>>();
    for (const event of events) {
      if (event.f !== 'poll' || event.type !== 'ok' || event.group !== this.#site.group) continue;
      for (const [key, records] of recordsOf(event)) {
        const offsets = entryOf(given, key, () => new Set<number>());
        for (const [offset] of records) offsets.add(offset);
      }
    }
    const missing = new Set<string>();
    for (const event of events) {
      if (event.f !== 'send' || event.type !== 'ok' || event.key === undefined) continue;
      for (const offset of offsetsOf(event))
        if (given.get(event.key)?.has(offset) !== true) missing.add(`${event.key} is not consumed`);
    }
    return [...missing];
  }

  async #lagging(): Promise<string[]> {
    const { group } = this.#site;
    try {
      const { partitions } = await callOwner(this.#site, GroupServiceService.describeGroup, { group });
      const lagging = partitions.filter(({ lagRecords }) => lagRecords > 0n);
      return lagging.map(({ topic, partition, lagRecords }) => `${topic}-${partition} lags by ${lagRecords}`);
    } catch (error) {
      return [`the group is not described: ${String(error)}`];
    }
  }
}
