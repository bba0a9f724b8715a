/**
 * Where delivery of a partition begins: at the committed offset; where the group has none, at the start position of the
 * member, which is resolved once and committed at once, so that a crash before the first ack does not resolve it anew
 * (and, with `latest`, skip what came meanwhile).
 */
import { PartitaError, partitionKey } from '@partita/domain';
import type { GroupOffset, HeldPartition } from '@partita/groups';
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
  /** True = an operator's reset has put it there. */
  readonly wasReset: boolean;
}

export interface StartOffsetsOptions {
  readonly group: string;
  readonly owner: ShardOwner;
  readonly calls: LeaderCalls;
  readonly startPosition: OffsetSpec;
  /** Undefined = not at all. */
  readonly lossPosition: OffsetSpec | undefined;
  readonly signal: AbortSignal;
}

const DEADLINE_MS = 5000;
const LATEST: OffsetSpec = { position: { $case: 'latest', latest: true } };

/** Partitions whose start was found; the others failed for now, the first error tells why. */
export interface StartOffsetsResult {
  readonly starts: readonly StartOffset[];
  readonly error: PartitaError | undefined;
}

interface Wanted {
  readonly held: HeldPartition;
  readonly name: PartitionName;
}

/** Finds the starts of partitions that a member got, and commits those that are new. Rejects with OFFSET_LOST. */
export async function findStarts(wanted: readonly Wanted[], options: StartOffsetsOptions): Promise<StartOffsetsResult> {
  const starts: StartOffset[] = [];
  let error: PartitaError | undefined;
  const committed = wanted.map(({ held }) => committedOf(held, options));
  const entries = wanted.map(({ name }, index) => ({
    ...name,
    position: committed[index] === undefined ? options.startPosition : LATEST,
  }));
  const results = await options.calls.listOffsets(entries, { deadlineMs: DEADLINE_MS, signal: options.signal });
  for (const [index, partition] of wanted.entries()) {
    const result = results[index];
    if (result === undefined || result instanceof PartitaError) error ??= result;
    else starts.push(await startAt(partition, committed[index], result, options));
  }
  return { starts: await commitStarts(starts, options), error };
}

async function startAt(
  { held, name }: Wanted,
  committed: GroupOffset | undefined,
  result: ListOffsetsResult,
  options: StartOffsetsOptions,
): Promise<StartOffset> {
  const { highWatermark } = result;
  const found = { held, name, highWatermark, lostOffset: undefined, wasReset: false };
  if (committed === undefined) return { ...found, offset: result.offset };
  const { nextOffset, resetEpoch } = committed;
  const wasReset = resetEpoch > 0 && resetEpoch === held.assignmentEpoch;
  if (nextOffset >= result.logStartOffset) return { ...found, offset: nextOffset, wasReset };
  const offset = await afterLoss(nextOffset, result, { ...options, name });
  return { ...found, offset, lostOffset: nextOffset };
}

/** Where to go on when `position` is not in the log any more. Rejects with OFFSET_LOST when nobody said where. */
export async function afterLoss(
  position: bigint,
  log: Pick<ListOffsetsResult, 'logStartOffset' | 'highWatermark'>,
  context: Pick<StartOffsetsOptions, 'group' | 'calls' | 'lossPosition' | 'signal'> & { readonly name: PartitionName },
): Promise<bigint> {
  const { group, name, lossPosition, calls, signal } = context;
  if (lossPosition !== undefined)
    return (await calls.listOffset(name, lossPosition, { deadlineMs: DEADLINE_MS, signal })).offset;
  const message =
    `offset ${position} of group "${group}" in partition ${name.partition} of "${name.topic}" is gone, the log holds ` +
    `${log.logStartOffset} to ${log.highWatermark}; reset the group's offsets, or join with an offset_lost_policy that ` +
    'says where to go on';
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
    fresh.includes(start) ? { ...start, offset: committedOf(start.held, options)?.nextOffset ?? start.offset } : start,
  );
}

function committedOf(held: HeldPartition, { owner, group }: StartOffsetsOptions): GroupOffset | undefined {
  return owner.state.get(group)?.offsets.get(partitionKey(held.partition));
}
