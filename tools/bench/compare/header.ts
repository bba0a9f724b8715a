/** What was compared, and on what: everything that one must know to read the figures, and what differs between the systems. */
import { basename } from 'node:path';
import { CLIENT_BUFFER_BYTES_MAX } from '@partita/domain';
import { LOAD_NODE_FLAGS } from '../child-process.ts';
import { machineLine } from '../machine.ts';
import type { Machine } from '../machine.ts';
import { count } from '../markdown-table.ts';
import { IN_FLIGHT_BYTES, SEND_BYTES } from '../produce/settings.ts';
import { BATCH_BYTES, BROKER_COUNT, FRAMES_IN_FLIGHT, PARTITION_COUNT } from '../workload.ts';
import { KAFKA_LINGERS_MS } from './peer-systems.ts';
import type { PeerName } from './peer-systems.ts';

export interface CompareFacts extends Machine {
  readonly seconds: number;
  readonly rounds: number;
  readonly peers: readonly (
    { readonly name: PeerName; readonly version: string } | { readonly name: PeerName; readonly missing: string }
  )[];
  /** Of the folder that holds the data of all systems. */
  readonly fileSystem: string;
  /** Processes that wanted a core before the bench began, over a minute. */
  readonly loadAverage: number;
}

/** With the chart, where there is one. */
export function compareHeader(facts: CompareFacts, chart?: string): string {
  const { coreCount, loadAverage, fileSystem, seconds, rounds, peers } = facts;
  const kib = (bytes: number): string => `${count(bytes / 1024)} KiB`;
  const mib = (bytes: number): string => `${count(bytes / 1024 / 1024)} MiB`;
  const others = peers.map((peer) => ('version' in peer ? peer.version : `no ${peer.name}, because ${peer.missing}`));
  return `# Partita beside other systems

${machineLine(facts)}
  Load average before the run: ${loadAverage.toFixed(1)}. All data on one ${fileSystem}. Beside Partita: ${others.length === 0 ? 'nothing was asked for' : others.join('; ')}.
  Servers and load generators share these ${coreCount} cores, so absolute figures are low, and the CPU time of all ends decides: the
  ratio is the result.
- **Workload**: ${PARTITION_COUNT} partitions, ${BROKER_COUNT} replicas on ${BROKER_COUNT} servers, acks=all, at least 2 replicas in sync, not compressed, plaintext on loopback, one
  process that sends. A record is a key of 16 B and a value, its size that of Partita's serialised record (12 B more); the
  others get the same key and value. Each run has a new topic, which is deleted after it. MB are millions of bytes of records.
- **Throughput**: closed loop, ${mib(IN_FLIGHT_BYTES)} of records on their way, from the first send to the last acknowledgement.
- **Latency**: open loop at half of what Kafka reached at this workload, the faster of its two lingers; a system whose own throughput is not well above that is
  measured at half of its own, and its line says so by its due/s. From the moment at which a record was due to its
  acknowledgement, in an HDR histogram; a record held up is late, and nothing hides (no coordinated omission). Senders look each
  millisecond for what is due.
- **Page cache**: an acknowledged record is in the memory of the replicas: Partita flush=os, Kafka and NATS with their defaults.
  **Synced to disk**: Partita flush=fsync, Kafka flush.messages=1, NATS sync_interval always, which syncs the logs of its Raft groups.
- **Method**: runs of ${seconds} s, rounds: ${rounds}, in each of which every system has one run, each round beginning with another system,
  after a run of each that is thrown away; before a run what waits to be written is written. Medians (lowest to highest of the rounds);
  ratios are taken within a round. CPU is user and kernel time of all servers of a system, and of its sender, for each MB.
  All systems stay up meanwhile: what they cost idle, all pay.

What differs, beside what is compared:

- **Who must have a record**: Partita and NATS acknowledge when a majority has it, the leader and one follower of ${BROKER_COUNT}; Kafka when
  all replicas in sync have it, here all ${BROKER_COUNT}. Synced, that is two disks, or three.
- **Batches**: Partita's SDK makes batches of up to ${kib(BATCH_BYTES)} without a linger and is handed ${kib(SEND_BYTES)} a call in the closed loop;
  Kafka's producer is handed single records, batch.size ${kib(BATCH_BYTES)}, once with its default linger, ${KAFKA_LINGERS_MS.kafka} ms, and once with none; both
  may hold ${mib(CLIENT_BUFFER_BYTES_MAX)}. NATS has no batches here: its client publishes message by message, each with an acknowledgement of its own.
- **Duplicates**: Partita's sessions and Kafka's idempotent producer leave none when they send again; NATS messages carry no id.
- **Partitions**: by the hash of the key in Partita and Kafka; a stream for each partition in NATS, in turn, over a connection to
  each server, so that a message goes to its leader at once.
- **Processes**: Kafka and NATS are ${BROKER_COUNT} servers. Partita is ${BROKER_COUNT} brokers, coordinators with their store, a gateway and a service of groups, and
  all of these are in its CPU time. By the gateway is one hop more than the others have.
- **Languages**: servers and senders are Node for Partita (senders with ${LOAD_NODE_FLAGS.join(' ')}), Java
  (heaps of 1 GiB) for Kafka, Go for NATS.
- **Ready batches and raw gRPC**: messages of ${kib(BATCH_BYTES)}, ${FRAMES_IN_FLIGHT} on their way, made before; raw gRPC is @grpc/grpc-js alone between as many
  processes, which hand each message on to both others and answer when the first has it: nothing is decoded, checked or numbered.
  It stores nothing where a record need not be on disk; where it must be, each process appends what it gets to one plain file, synced, before it answers.
${chart === undefined ? '' : `\n![Throughput and latency of each workload](${basename(chart)})\n`}`;
}
