/**
 * Where delivery of a partition begins: at the committed offset; where the group has none, at the start position of the
 * member, which is resolved once and committed at once, so that a crash before the first ack does not resolve it anew
 * (and, with `latest`, skip what came meanwhile).
 */
import { PartitaError, partitionKey } from '@partita/domain';
import type { HeldPartition } from '@partita/groups';
import { OffsetLostPolicy } from '@partita/protocol';
import type { ListOffsetsResult, OffsetSpec } from '@partita/protocol';
import type { LeaderCalls, PartitionName } from './leader-calls.ts';
import type { ShardOwner } from './shard-owner.ts';

/** Where to begin. */
export interface StartOffset {
  readonly held: HeldPartition;
  readonly name: PartitionName;
  readonly offset: bigint;
  readonly highWatermark: bigint;
  /** Committed offset that is gone, with what the policy made of it. */
  readonly lostOffset: bigint | undefined;
}

export interface StartOffsetsOptions {
  readonly group: string;
  readonly owner: ShardOwner;
  readonly calls: LeaderCalls;
  readonly startPosition: OffsetSpec;
  readonly offsetLostPolicy: OffsetLostPolicy;
  readonly signal: AbortSignal;
}

const DEADLINE_MS = 5000;
/** Partitions asked about at once. */
const CONCURRENT_COUNT_MAX = 32;
const LATEST: OffsetSpec = { position: { $case: 'latest', latest: true } };

/** Partitions whose start was found; the others failed for now, the first error tells why. */
export interface StartOffsetsResult {
  readonly starts: readonly StartOffset[];
  readonly error: PartitaError | undefined;
}

/** Finds the starts of partitions that a member got, and commits those that are new. Rejects with OFFSET_LOST. */
export async function findStarts(
  wanted: readonly { readonly held: HeldPartition; readonly name: PartitionName }[],
  options: StartOffsetsOptions,
): Promise<StartOffsetsResult> {
  const starts: StartOffset[] = [];
  let error: PartitaError | undefined;
  for (let from = 0; from < wanted.length; from += CONCURRENT_COUNT_MAX) {
    const part = wanted.slice(from, from + CONCURRENT_COUNT_MAX);
    const found = await Promise.allSettled(part.map((partition) => findStart(partition, options)));
    for (const outcome of found) {
      if (outcome.status === 'fulfilled') starts.push(outcome.value);
      else if (!(outcome.reason instanceof PartitaError) || outcome.reason.reason === 'OFFSET_LOST')
        throw outcome.reason;
      else error ??= outcome.reason;
    }
  }
  return { starts: await commitStarts(starts, options), error };
}

async function findStart(
  { held, name }: { readonly held: HeldPartition; readonly name: PartitionName },
  options: StartOffsetsOptions,
): Promise<StartOffset> {
  const committed = committedOf(held, options);
  const position = committed === undefined ? options.startPosition : LATEST;
  const limits = { deadlineMs: DEADLINE_MS, signal: options.signal };
  const result = await options.calls.listOffset(name, position, limits);
  const { highWatermark } = result;
  if (committed === undefined) return { held, name, offset: result.offset, highWatermark, lostOffset: undefined };
  if (committed >= result.logStartOffset)
    return { held, name, offset: committed, highWatermark, lostOffset: undefined };
  const offset = afterLoss(committed, result, { ...options, name });
  return { held, name, offset, highWatermark, lostOffset: committed };
}

/** Where the policy goes on when `position` is not in the log any more. Throws OFFSET_LOST when it does not. */
export function afterLoss(
  position: bigint,
  log: Pick<ListOffsetsResult, 'logStartOffset' | 'highWatermark'>,
  context: { readonly group: string; readonly name: PartitionName; readonly offsetLostPolicy: OffsetLostPolicy },
): bigint {
  const { group, name, offsetLostPolicy } = context;
  if (offsetLostPolicy === OffsetLostPolicy.OFFSET_LOST_POLICY_EARLIEST) return log.logStartOffset;
  if (offsetLostPolicy === OffsetLostPolicy.OFFSET_LOST_POLICY_LATEST) return log.highWatermark;
  const message =
    `offset ${position} of group "${group}" in partition ${name.partition} of "${name.topic}" is gone, the log holds ` +
    `${log.logStartOffset} to ${log.highWatermark}; join with offset_lost_policy EARLIEST or LATEST to go on`;
  throw new PartitaError('OFFSET_LOST', message, {
    group,
    topic: name.topic,
    partition: String(name.partition),
    committed: String(position),
    start: String(log.logStartOffset),
  });
}

/** An offset that was asked for by number must be in the log, or the reader would skip or wait without being told. */
export function checkInLog(name: PartitionName, { position }: OffsetSpec, log: ListOffsetsResult): void {
  if (position?.$case !== 'offset') return;
  const { logStartOffset, highWatermark } = log;
  if (position.offset >= logStartOffset && position.offset <= highWatermark) return;
  throw new PartitaError(
    'OFFSET_OUT_OF_RANGE',
    `offset ${position.offset} is not in partition ${name.partition} of "${name.topic}", the log holds ${logStartOffset} ` +
      `to ${highWatermark}; seek to one of these, to earliest or to latest`,
    { offset: String(position.offset), start: String(logStartOffset), end: String(highWatermark) },
  );
}

/** Another member may have been faster for the same partition: what is durable then counts. */
async function commitStarts(
  starts: readonly StartOffset[],
  options: StartOffsetsOptions,
): Promise<readonly StartOffset[]> {
  const fresh = starts.filter((start) => committedOf(start.held, options) === undefined);
  if (fresh.length === 0) return starts;
  await options.owner.submit({
    kind: 'startOffsets',
    group: options.group,
    starts: fresh.map(({ name, held, offset }) => ({
      topic: name.topic,
      partition: held.partition,
      nextOffset: offset,
    })),
    wallMs: Date.now(),
  });
  return starts.map((start) =>
    fresh.includes(start) ? { ...start, offset: committedOf(start.held, options) ?? start.offset } : start,
  );
}

function committedOf(held: HeldPartition, { owner, group }: StartOffsetsOptions): bigint | undefined {
  return owner.state.get(group)?.offsets.get(partitionKey(held.partition))?.nextOffset;
}
