/** A ready batch through a gateway of choice, as a client sends it that builds its own. */
import { Acks, ProduceBatchFrame, ProduceStreamRequest, ProduceStreamResponse } from '@partita/protocol';
import type { RecordBatch } from '@partita/protocol';
import { fromRpcStatus } from '@partita/rpc';
import { RawClient } from './raw-call.ts';
import { stockBytes } from './stock-batch.ts';

const PRODUCE_STREAM = '/partita.v1.ProducerService/ProduceStream';
const TIMEOUT_MS = 10_000;

/** Appends to partition 0. Answers the reason of the refusal, `stored`, or `stored as a duplicate`. */
export async function produceBatch(gateway: string, topic: string, content: RecordBatch): Promise<string> {
  const recordBatches = stockBytes(content);
  const batch = ProduceBatchFrame.fromPartial({
    ...{ frameId: 1n, topic, partition: 0, recordBatches, acks: Acks.ACKS_ALL },
    ...{ timeoutMs: TIMEOUT_MS, partitionChosen: true },
  });
  const initial = ProduceStreamRequest.fromPartial({ message: { $case: 'initial', initial: {} } });
  const frame = ProduceStreamRequest.fromPartial({ message: { $case: 'batch', batch } });
  const messages = [initial, frame].map((message) => ProduceStreamRequest.encode(message).finish());
  const client = new RawClient(gateway);
  try {
    const enough = (responses: readonly Uint8Array[]): boolean => outcomeIn(responses) !== undefined;
    const answer = await client.stream(PRODUCE_STREAM, messages, { deadlineMs: 2 * TIMEOUT_MS, enough });
    return outcomeIn(answer.responses) ?? `${answer.code} ${answer.message}`;
  } finally {
    client.close();
  }
}

function outcomeIn(responses: readonly Uint8Array[]): string | undefined {
  for (const response of responses) {
    const { message } = ProduceStreamResponse.decode(response);
    if (message?.$case !== 'result') continue;
    const { outcome } = message.result;
    if (outcome?.$case === 'error') return fromRpcStatus(outcome.error).reason;
    const result = outcome?.response.results[0]?.outcome;
    if (result?.$case === 'error') return fromRpcStatus(result.error).reason;
    return result?.ack.duplicate === true ? 'stored as a duplicate' : 'stored';
  }
  return undefined;
}
