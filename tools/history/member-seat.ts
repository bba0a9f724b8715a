/** One place in a group that members take one after the other; each lives a while, and then something happens to it. */
import { pause } from '@partita/client';
import { GroupMember, SESSION_MS } from './group-member.ts';
import type { GroupSite } from './group-site.ts';

/**
 * crash    gone without a word; the next is new
 * leave    leaves; the next is new
 * stall    stands still for longer than its session, and goes on
 * break    loses its stream, and comes back with its id
 * replace  static: another process takes its name while it stands still, and it goes on
 * restart  static: crashes, and the next process takes its name before its session is over
 */
export type Mishap = 'crash' | 'leave' | 'stall' | 'break' | 'replace' | 'restart';

export interface SeatPart {
  readonly number: number;
  /** Happen in turn. */
  readonly mishaps: readonly Mishap[];
  /** Of static members; empty = dynamic. */
  readonly instanceId: string;
}

const LIFE_MS_MIN = 1000;
const LIFE_MS_SPREAD = 1500;
/** Spreads lives without chance: a step that shares no factor with the spread. */
const LIFE_MS_STEP = 617;
const LEAVE_MS_MAX = 5000;
/** Until a member whose session is over was put out, and another has its partitions. */
const OUT_MS = 1500;
/** Until another process has taken a name. */
const REPLACE_MS = 1000;

/** Members until it is `calm`, from then on one that nothing happens to; answers it. */
export async function occupySeat(site: GroupSite, part: SeatPart, calm: AbortSignal): Promise<GroupMember> {
  const { number, mishaps, instanceId } = part;
  let member = new GroupMember(site, instanceId);
  for (let turn = 0; ; turn += 1) {
    await pause(LIFE_MS_MIN + (((turn + 1) * (number + 1) * LIFE_MS_STEP) % LIFE_MS_SPREAD), calm);
    if (calm.aborted) break;
    member = await befall(site, member, mishaps[turn % mishaps.length] ?? 'break', instanceId);
  }
  return member.isOver ? new GroupMember(site, instanceId) : member;
}

/** Answers who has the seat afterwards. */
async function befall(site: GroupSite, member: GroupMember, mishap: Mishap, instanceId: string): Promise<GroupMember> {
  switch (mishap) {
    case 'stall':
      await member.standStill(() => pause(SESSION_MS + OUT_MS));
      return member.isOver ? new GroupMember(site, instanceId) : member;
    case 'break':
      member.breakStream();
      return member;
    case 'leave':
      await member.leave(LEAVE_MS_MAX);
      return new GroupMember(site, instanceId);
    case 'crash':
    case 'restart':
      await member.crash();
      return new GroupMember(site, instanceId);
    case 'replace': {
      let next = member;
      await member.standStill(async () => {
        next = new GroupMember(site, instanceId);
        await pause(REPLACE_MS);
      });
      await member.crash();
      return next;
    }
  }
}
