/** GroupService: each method validates, calls, maps. What concerns one group is answered by the instance that owns it. */
import { GroupServiceService } from '@partita/protocol';
import { bidi, implement, unary } from '@partita/rpc/server';
import type { Implementation } from '@partita/rpc/server';
import type { ConsumeServices } from './consume-stream.ts';
import { listGroups } from './group-list.ts';
import { GroupQueries } from './group-queries.ts';
import { ConsumeCall, relayToOwner } from './group-relay.ts';
import { readRecords } from './read-records.ts';

export function consumerGroupService(
  services: ConsumeServices & { readonly address: string },
): Implementation<GroupServiceService> {
  const queries = new GroupQueries(services);
  const reading = { relay: relayToOwner(services) };
  const changing = { append: true, relay: relayToOwner(services, { append: true }) };
  const { meter } = services;
  return implement(GroupServiceService, {
    consume: bidi((stream, context) => new ConsumeCall(stream, context, services), { relayed: true }),
    commitOffsets: unary(
      meter.counting((request, context) => queries.commitOffsets(request, context)),
      changing,
    ),
    getCommittedOffsets: unary(
      meter.counting((request, context) => queries.getCommittedOffsets(request, context)),
      reading,
    ),
    readRecords: unary(meter.counting((request, context) => readRecords(request, context, services))),
    listGroups: unary(meter.counting((request, context) => listGroups(request, context, services))),
    describeGroup: unary(
      meter.counting(({ group }, context) => queries.describeGroup(group, context)),
      reading,
    ),
    resetOffsets: unary(
      meter.counting((request, context) => queries.resetOffsets(request, context)),
      changing,
    ),
    deleteGroup: unary(
      meter.counting(({ group }, context) => queries.deleteGroup(group, context)),
      changing,
    ),
  });
}
