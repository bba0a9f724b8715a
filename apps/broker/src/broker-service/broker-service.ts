/** BrokerService: append and fetch for the partitions that this broker leads. */
import { BrokerServiceService } from '@partita/protocol';
import { bidi, implement, unary } from '@partita/rpc/server';
import type { Implementation } from '@partita/rpc/server';
import { AppendStreamSession } from './append-stream.ts';
import type { AppendStreamOptions } from './append-stream.ts';
import { deleteRecords } from './delete-records.ts';
import { describeProducers } from './describe-producers.ts';
import { fetchBatches } from './fetch.ts';
import { FetchStreamSession } from './fetch-stream.ts';
import type { FetchStreamOptions } from './fetch-stream.ts';
import { listOffsets } from './list-offsets.ts';

/** The methods, on what the broker has. */
export function brokerMethods(
  options: AppendStreamOptions & FetchStreamOptions,
): Implementation<typeof BrokerServiceService> {
  return implement(BrokerServiceService, {
    append: unary((request, context) => options.appender.append(request, context), { append: true }),
    appendStream: bidi((stream, context) => new AppendStreamSession(stream, context, options)),
    fetch: unary((request, context) => fetchBatches(request, context, options)),
    fetchStream: bidi((stream, context) => new FetchStreamSession(stream, context, options)),
    listOffsets: unary((request) => listOffsets(request, options)),
    deleteRecords: unary((request) => deleteRecords(request, options.registry)),
    describeProducers: unary((request) => describeProducers(request, options.registry)),
  });
}
