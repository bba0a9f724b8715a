/**
 * Holds one partition to what requests with an id are promised: I14, none is committed twice, however often and late it is
 * repeated; none is refused that is remembered with as many records, whatever its checksum; I16, every replica remembers
 * those of its log. Folds by itself, without the product's table.
 */
import { isRequest, recordCountOf, REQUEST_EXPIRY_MS } from '@partita/domain';
import type { PartitaError, ProducerSequence, RequestTable } from '@partita/domain';
import type { StoredBatch } from './stored-batch.ts';

export class RequestOracle {
  /** Ids of all that are committed. */
  readonly #committed = new Set<string>();

  /** The next committed batch is a request. Why it may not be, or undefined. */
  commit({ producerId }: ProducerSequence, baseOffset: bigint): string | undefined {
    if (this.#committed.has(producerId)) return `I14: request ${producerId} is committed twice, now at ${baseOffset}`;
    this.#committed.add(producerId);
    return undefined;
  }

  /** An operator gave committed records up: these are left. */
  restart(committed: readonly StoredBatch[]): void {
    this.#committed.clear();
    for (const { producer } of committed) {
      if (producer !== undefined && isRequest(producer)) this.#committed.add(producer.producerId);
    }
  }

  /** A leader whose log ends with `tip` has refused a request. Why it may not, or undefined. */
  refusal(
    sent: ProducerSequence,
    { reason, metadata }: PartitaError,
    tip: StoredBatch | undefined,
  ): string | undefined {
    if (reason === 'UNKNOWN_PRODUCER') {
      const known = requestIn(tip, sent.producerId);
      if (known !== undefined && recordCountOf(known) !== recordCountOf(sent)) return undefined;
      return `I14: a repeat of request ${sent.producerId} is refused as unknown`;
    }
    if (reason !== 'PRODUCER_EXPIRED') return undefined;
    const known = requestIn(tip, sent.producerId, BigInt(metadata['leader_time_ms'] ?? 0));
    return known && `I14: a repeat of request ${sent.producerId} is refused as too old, and is remembered`;
  }
}

/** What a table of requests holds, one line each. */
export function knownRequests(requests: RequestTable, nowMs: bigint): string[] {
  return requests
    .entries(nowMs)
    .map(({ requestId, recordCount, baseOffset, appendTimeMs }) =>
      lineOf(requestId, recordCount, baseOffset, appendTimeMs),
    );
}

/** What it has to hold at the end of the log, straight from the definition. */
export function requestsOf(tip: StoredBatch | undefined): string[] {
  const lines: string[] = [];
  const nowMs = tip?.appendTimeMs ?? 0n;
  for (let batch = tip; batch !== undefined && !isOld(batch, nowMs); batch = batch.previous) {
    const { producer, baseOffset, appendTimeMs } = batch;
    if (producer === undefined || !isRequest(producer)) continue;
    lines.push(lineOf(producer.producerId, recordCountOf(producer), baseOffset, appendTimeMs));
  }
  return lines;
}

/** The request as the log has it, unless it is too old to be remembered. */
function requestIn(
  tip: StoredBatch | undefined,
  requestId: string,
  nowMs = tip?.appendTimeMs ?? 0n,
): ProducerSequence | undefined {
  for (let batch = tip; batch !== undefined && !isOld(batch, nowMs); batch = batch.previous) {
    const { producer } = batch;
    if (producer?.producerId === requestId && isRequest(producer)) return producer;
  }
  return undefined;
}

function isOld({ appendTimeMs }: StoredBatch, nowMs: bigint): boolean {
  return nowMs - appendTimeMs > BigInt(REQUEST_EXPIRY_MS);
}

function lineOf(requestId: string, recordCount: number, baseOffset: bigint, appendTimeMs: bigint): string {
  return `${requestId}x${recordCount}@${baseOffset}t${appendTimeMs}`;
}
