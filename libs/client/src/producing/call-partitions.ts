/** The partitions of the records of one call. */
import { keyHash } from '@partita/batch';
import type { RecordInput } from '@partita/batch';
import { PartitaError } from '@partita/domain';
import type { TopicRoute } from '@partita/protocol';
import { partitionOfHash } from './partition-chooser.ts';
import type { PartitionChooser } from './partition-chooser.ts';

export interface CallToPlace {
  /** The caller named it. */
  readonly named: number | undefined;
  /** 16 bytes. */
  readonly requestId: Uint8Array | undefined;
  /** True = all records go into one batch: those without a key follow the others. */
  readonly isWhole: boolean;
  readonly records: readonly Pick<RecordInput, 'key'>[];
}

/**
 * Says where a record of the call goes, by the hash of its key, undefined without one. A repeat of a request is told the
 * same, whoever asks: where no record has a key, the request's id is one. Throws PARTITION_NOT_FOUND, and INVALID_REQUEST when one batch would go to several.
 */
export function callPartitions(
  route: TopicRoute,
  chooser: PartitionChooser,
  { named, requestId, isWhole, records }: CallToPlace,
): (hash: number | undefined) => number {
  if (named !== undefined) {
    const partition = chooser.named(route, named);
    return () => partition;
  }
  if (isWhole) {
    const partition = onlyPartition(route, records) ?? keyless(route, chooser, requestId);
    return () => partition;
  }
  let sticky: number | undefined;
  return (hash) => (hash === undefined ? (sticky ??= chooser.choose(route, undefined)) : chooser.choose(route, hash));
}

function keyless(route: TopicRoute, chooser: PartitionChooser, requestId: Uint8Array | undefined): number {
  return requestId === undefined ? chooser.choose(route, undefined) : partitionOfHash(route, keyHash(requestId));
}

/** That of all keys; undefined when there are none. */
function onlyPartition(route: TopicRoute, records: CallToPlace['records']): number | undefined {
  let only: number | undefined;
  for (const { key } of records) {
    if (key === undefined) continue;
    const partition = partitionOfHash(route, keyHash(key));
    if (only !== undefined && only !== partition) {
      const metadata = { field: 'records', range: '1 partition' };
      const text = `the keys of the records belong to several partitions of "${route.topic}", ${only} and ${partition}; records of one batch go to one: name it`;
      throw new PartitaError('INVALID_REQUEST', text, metadata);
    }
    only = partition;
  }
  return only;
}
