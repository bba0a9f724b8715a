/** DescribeProducers: the producer sessions that the leader of a partition knows, by their ids. */
import { lastProduced, PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX, PartitaError } from '@partita/domain';
import type { ProducerEntry } from '@partita/domain';
import type { DescribeProducersRequest, DescribeProducersResponse, ProducerSession } from '@partita/protocol';
import type { PartitionRegistry } from '../partition-registry.ts';
import { checkRange } from './request-checks.ts';

/** A token is the last id of the page before. */
const TOKEN = /^([0-9a-f]{32})?$/;

/** The unary call. */
export function describeProducers(
  request: DescribeProducersRequest,
  registry: PartitionRegistry,
): DescribeProducersResponse {
  const { topic, partition, pageSize, pageToken } = request;
  checkRange('page_size', pageSize, 0, PAGE_SIZE_MAX);
  if (!TOKEN.test(pageToken)) {
    throw new PartitaError('INVALID_PAGE_TOKEN', 'page_token is not one of this list: begin again without it', {});
  }
  const actor = registry.find({ topicId: '', topic, partition });
  if (actor.leader === undefined) throw registry.notLeader(actor);
  const { producers, lastAppendTimeMs } = actor.state;
  const size = pageSize === 0 ? PAGE_SIZE_DEFAULT : pageSize;
  const found = producers
    .entries(lastAppendTimeMs)
    .filter(({ producerId }) => producerId > pageToken)
    .toSorted((a, b) => (a.producerId < b.producerId ? -1 : 1));
  const page = found.slice(0, size);
  const nextPageToken = found.length > size ? (page.at(-1)?.producerId ?? '') : '';
  return { producers: page.map(sessionOf), nextPageToken, requestCount: producers.requests.count(lastAppendTimeMs) };
}

function sessionOf(entry: ProducerEntry): ProducerSession {
  const { firstSequence, lastSequence, baseOffset, appendTimeMs } = lastProduced(entry);
  return {
    producerId: Buffer.from(entry.producerId, 'hex'),
    producerEpoch: entry.producerEpoch,
    lastSequence,
    lastOffset: baseOffset + lastSequence - firstSequence,
    lastAppendTimeMs: appendTimeMs,
    clientId: '',
  };
}
