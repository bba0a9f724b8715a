/** Producing through a gateway: ready batches and plain records over a stream, and single records by unary calls. */
import { PartitaError } from '@partita/domain';
import { Acks, ProducerServiceService, ProduceRequest, ProduceStreamInitial } from '@partita/protocol';
import type { Partition, ProduceFrameResult, ProduceStreamRequest, ProduceStreamResponse } from '@partita/protocol';
import { fromRpcStatus } from '@partita/rpc';
import { callUnary, openBidi } from '@partita/rpc/client';
import type { BidiStream } from '@partita/rpc/client';
import type { Client } from '@grpc/grpc-js';
import type { Sample } from '../sample.ts';
import { CALLER_COUNT, FRAMES_IN_FLIGHT, RECORD_BYTES } from '../workload.ts';
import { runCallers } from './callers.ts';
import { SendWindow } from './send-window.ts';
import { plainRecord, testBatches, testRecords } from './test-records.ts';

const TIMEOUT_MS = 30_000;

type ProduceMessage = NonNullable<ProduceStreamRequest['message']>;

/** How long to send: until either is reached. */
export interface SendBounds {
  readonly seconds: number;
  readonly bytes: number;
  /** Of one record. */
  readonly recordBytes?: number;
}

/** Frames with one ready batch each, to the partitions in turn. */
export function produceBatches(
  gateway: Client,
  topic: string,
  partitions: readonly Partition[],
  bounds: SendBounds,
): Promise<Sample> {
  const batches = testBatches(partitions, bounds.recordBytes);
  const frames = batches.map(({ partition, recordBatches, recordCount }) => ({
    recordCount,
    message: (frameId: bigint): ProduceMessage => ({
      $case: 'batch',
      batch: {
        frameId,
        topic,
        partition,
        recordBatches,
        acks: Acks.ACKS_ALL,
        expectedNextOffset: undefined,
        traceparent: '',
        tracestate: '',
        timeoutMs: TIMEOUT_MS,
        topicId: '',
        partitionChosen: true,
      },
    }),
  }));
  return produceFrames(gateway, frames, bounds);
}

/** Frames with as many plain records as a batch holds; the gateway finds their partitions and builds the batches. */
export function produceRecords(gateway: Client, topic: string, seconds: number): Promise<Sample> {
  const records = testRecords();
  const request = ProduceRequest.fromPartial({ topic, records, acks: Acks.ACKS_ALL });
  const frame = {
    recordCount: records.length,
    message: (frameId: bigint): ProduceMessage => ({
      $case: 'produce',
      produce: { frameId, request, timeoutMs: TIMEOUT_MS, traceparent: '', tracestate: '' },
    }),
  };
  return produceFrames(gateway, [frame], { seconds, bytes: Infinity });
}

/** A record per call, from many callers at once. */
export function produceUnary(gateway: Client, topic: string, seconds: number): Promise<Sample> {
  const requests = Array.from({ length: CALLER_COUNT }, () =>
    ProduceRequest.fromPartial({ topic, records: [plainRecord()], acks: Acks.ACKS_ALL }),
  );
  return runCallers(seconds, async (caller) => {
    const request = requests[caller];
    if (request !== undefined) await callUnary(gateway, ProducerServiceService.produce, request, { append: true });
  });
}

interface Frame {
  readonly recordCount: number;
  readonly message: (frameId: bigint) => ProduceMessage;
}

/** Sends the frames in turn over one stream. Every frame must be acknowledged. */
async function produceFrames(gateway: Client, frames: readonly Frame[], bounds: SendBounds): Promise<Sample> {
  const recordsPerFrame = frames[0]?.recordCount ?? 0;
  const { recordBytes = RECORD_BYTES } = bounds;
  let nextFrame = 0;
  const window = new SendWindow({
    seconds: bounds.seconds,
    frameCountMax: bounds.bytes / (recordsPerFrame * recordBytes),
    inFlightMax: FRAMES_IN_FLIGHT,
    send: () => {
      const frame = frames[nextFrame % frames.length];
      nextFrame += 1;
      if (frame !== undefined) stream.send({ message: frame.message(BigInt(nextFrame)) });
    },
  });
  const stream: BidiStream<ProduceStreamRequest> = openBidi(gateway, ProducerServiceService.produceStream, {
    onMessage: ({ message }: ProduceStreamResponse) => {
      if (message?.$case === 'ready') window.start();
      else if (message?.$case === 'result') onResult(window, message.result);
    },
    onClose: (error) => window.fail(error ?? new PartitaError('SHUTTING_DOWN', 'the gateway ended the stream')),
  });
  stream.send({ message: { $case: 'initial', initial: ProduceStreamInitial.fromPartial({}) } });
  const { frameCount, durationMs } = await window.result;
  stream.end();
  await stream.closed;
  const recordCount = frameCount * recordsPerFrame;
  return { recordCount, bytes: recordCount * recordBytes, durationMs };
}

function onResult(window: SendWindow, { outcome }: ProduceFrameResult): void {
  if (outcome?.$case === 'error') return window.fail(fromRpcStatus(outcome.error));
  const results = outcome?.$case === 'response' ? outcome.response.results : [];
  const failed = results.find((result) => result.outcome?.$case === 'error')?.outcome;
  if (failed?.$case === 'error') return window.fail(fromRpcStatus(failed.error));
  window.answered();
}
