/** What whoever proposed a config is told. */
import { currentConfig } from './config-in-force.ts';
import type { ConfigRefusal, ProposeConfigInput } from './config-messages.ts';
import type { ReplicaEffect } from './messages.ts';
import type { PartitionState } from './partition-state.ts';

/** The definite answer to a proposal of which nothing was stored. */
export function refusedChange(
  state: PartitionState,
  { reply }: Pick<ProposeConfigInput, 'reply'>,
  refusal: ConfigRefusal,
  why: string,
): ReplicaEffect {
  return { kind: 'answer-config', reply, outcome: { ok: false, refusal, why, config: currentConfig(state) } };
}

/** Answers whoever proposed the config that is committed by now, as the journal knows. */
export function answerCommitted(state: PartitionState): ReplicaEffect[] {
  const { change, meta } = state;
  if (change === undefined || change.version > meta.configFloor) return [];
  state.change = undefined;
  const outcome = { ok: true, offset: change.endOffset - 1n, config: currentConfig(state) } as const;
  return [{ kind: 'answer-config', reply: change.reply, outcome }];
}

/** Nobody waits any more for a change that may be kept or cut. */
export function doubtChange(state: PartitionState): ReplicaEffect[] {
  const { change } = state;
  if (change === undefined) return [];
  state.change = undefined;
  const why = `config ${change.version} was appended, but it is not known whether it will be kept`;
  return [refusedChange(state, change, 'outcome-unknown', why)];
}
