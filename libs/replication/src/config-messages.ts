/** What goes into a replica and comes out of it for a change of the replica set. */
import type { Reply } from './messages.ts';
import type { ReplicaConfig } from './replica-config.ts';

/**
 * Why a new config was not appended. `outcome-unknown` alone leaves it open: the record lies in the log, and it is not known
 * whether it will be kept.
 */
export type ConfigRefusal =
  /** Somebody else leads, or this replica is giving way. */
  | 'not-leader'
  /** Another version is in force than the sender believed, or the new one does not follow it. */
  | 'stale-version'
  /** The last change is not committed yet. */
  | 'change-under-way'
  /** The first record of the epoch is not committed yet: try again. */
  | 'epoch-not-committed'
  /** Nobody could work with it: min in-sync out of range, two replicas on a broker, an id that moved. */
  | 'unsound'
  | 'flush-changed'
  | 'too-many-members'
  | 'leader-removed'
  /** A new member has to be a learner first. */
  | 'not-a-learner'
  /** The learner does not hold everything committed yet: try again. */
  | 'not-caught-up'
  /** The new set could not commit anything at the moment: try again. */
  | 'not-enough-in-sync'
  /** The log has no room, or has failed. */
  | 'storage'
  | 'outcome-unknown';

/** What became of a proposed config; with a refusal, the config that is in force. */
export type ConfigOutcome =
  | { readonly ok: true; readonly offset: bigint; readonly config: ReplicaConfig }
  | { readonly ok: false; readonly refusal: ConfigRefusal; readonly why: string; readonly config: ReplicaConfig };

/** Asks a leader to change the replica set. Answered when the change is committed, and its version is in the journal. */
export interface ProposeConfigInput {
  readonly kind: 'propose-config';
  /** Epoch that the sender believes; 0 = any. */
  readonly leaderEpoch: number;
  /** Version that the sender believes to be in force. */
  readonly expectedVersion: number;
  /** The new set: the version one above that. */
  readonly config: ReplicaConfig;
  /** Wall clock now, milliseconds. */
  readonly wallMs: number;
  /** Monotonic clock after which the sender no longer waits, milliseconds. */
  readonly deadlineMs: number;
  readonly reply: Reply<ConfigOutcome>;
}
