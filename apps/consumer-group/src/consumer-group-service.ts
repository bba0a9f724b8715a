/** GroupService: each method validates, calls, maps. Those of later work answer NOT_IMPLEMENTED by not being here. */
import { GroupServiceService } from '@partita/protocol';
import { bidi, implement, unary } from '@partita/rpc/server';
import type { Implementation } from '@partita/rpc/server';
import { ConsumeStream } from './consume-stream.ts';
import type { ConsumeServices } from './consume-stream.ts';
import { GroupQueries } from './group-queries.ts';
import { readRecords } from './read-records.ts';

export function consumerGroupService(
  services: ConsumeServices & { readonly address: string },
): Implementation<GroupServiceService> {
  const queries = new GroupQueries(services);
  return implement(GroupServiceService, {
    consume: bidi((stream, context) => new ConsumeStream(stream, context, services)),
    commitOffsets: unary((request, context) => queries.commitOffsets(request, context), { append: true }),
    getCommittedOffsets: unary((request, context) => queries.getCommittedOffsets(request, context)),
    readRecords: unary((request, context) => readRecords(request, context, services)),
    listGroups: unary((request) => queries.listGroups(request)),
    describeGroup: unary(({ group }, context) => queries.describeGroup(group, context)),
    deleteGroup: unary(({ group }, context) => queries.deleteGroup(group, context), { append: true }),
  });
}
