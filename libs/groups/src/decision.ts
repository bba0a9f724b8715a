/** A decision in the making: each record that it emits is visible to the steps after it, and to nobody else. */
import { applyToGroup, emptyGroup, forkGroup } from './group-state.ts';
import type { Group } from './group-state.ts';
import type { GroupRecord } from './records.ts';
import type { GroupResponse } from './commands.ts';

/** Records to append, in one batch, and what to answer when they are durable. */
export interface Decided {
  readonly records: readonly GroupRecord[];
  readonly response: GroupResponse;
}

export class Decision {
  /** The group as it is after the records so far. */
  readonly group: Group;
  readonly records: GroupRecord[] = [];

  constructor(groupId: string, before: Group | undefined) {
    this.group = before === undefined ? emptyGroup(groupId) : forkGroup(before);
  }

  emit(record: GroupRecord): void {
    this.records.push(record);
    applyToGroup(this.group, record);
  }
}

const NOTHING: GroupResponse = { memberId: '', refusals: [] };

export function decided(records: readonly GroupRecord[], response: Partial<GroupResponse> = {}): Decided {
  return { records, response: { ...NOTHING, ...response } };
}
