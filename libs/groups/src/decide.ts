/**
 * Commands make records, records make state: `decide` looks at a group and says what to append and what to answer when
 * that is durable; it changes nothing. A refused command throws a PartitaError.
 */
import type { GroupCommand, TopicCatalog } from './commands.ts';
import type { Decided } from './decision.ts';
import { expire } from './expiry.ts';
import type { GroupSource } from './group-state.ts';
import { fence, join, leave, refresh, rejoin, release, subscribe } from './membership.ts';
import { commit, deleteGroup, startOffsets } from './offsets.ts';
import { reset } from './reset.ts';

export function decide(state: GroupSource, command: GroupCommand, catalog: TopicCatalog): Decided {
  const group = state.get(command.group);
  switch (command.kind) {
    case 'join':
      return join(group, command, catalog);
    case 'rejoin':
      return rejoin(group, command, catalog);
    case 'subscribe':
      return subscribe(group, command, catalog);
    case 'release':
      return release(group, command);
    case 'leave':
      return leave(group, command, catalog);
    case 'fence':
      return fence(group, command, catalog);
    case 'commit':
      return commit(group, command);
    case 'startOffsets':
      return startOffsets(group, command);
    case 'refresh':
      return refresh(group, command, catalog);
    case 'delete':
      return deleteGroup(group, command);
    case 'reset':
      return reset(group, command);
    case 'expire':
      return expire(group, command, catalog);
  }
}
