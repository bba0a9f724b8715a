/** Where the members of a group work: what all of them share. */
import type { ChannelPool } from '@partita/rpc/client';
import type { Recorder } from './recorder.ts';

export interface GroupSite {
  readonly group: string;
  readonly topic: string;
  readonly recorder: Recorder;
  readonly pool: ChannelPool;
  /** Addresses of the instances of the consumer-group service; any of them may be asked. */
  readonly addresses: readonly string[];
  readonly figures: MemberFigures;
}

/** What happened to the members, counted; what the history itself tells is not here. */
export interface MemberFigures {
  joined: number;
  crashed: number;
  left: number;
  /** Put out: silent for too long, or replaced by another process of the same name. */
  fenced: number;
  /** Streams that ended without the member's doing, or that it lost; it came back with its id. */
  streamsLost: number;
  /** Commits sent knowing that the partition is not the member's any more. */
  staleCommits: number;
  staleCommitsRefused: number;
  /** Reasons for which streams ended that no fault of a process explains. */
  readonly unexpected: string[];
}

export function newMemberFigures(): MemberFigures {
  const none = { joined: 0, crashed: 0, left: 0, fenced: 0, streamsLost: 0, staleCommits: 0, staleCommitsRefused: 0 };
  return { ...none, unexpected: [] };
}
