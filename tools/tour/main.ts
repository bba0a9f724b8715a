/** `npm run tour`: what Partita promises, shown on real data and checked. Exit code 1 when a check fails. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { connect } from '@partita/client';
import type { PartitaClient } from '@partita/client';
import { PartitaError } from '@partita/domain';
import { Command } from 'commander';
import type { Check } from './checks.ts';
import { readFlights } from './flights.ts';
import type { Flight } from './flights.ts';
import { launchCluster, serversOf } from '@partita/tool-dev/own-cluster.ts';
import { readReadyFile } from '@partita/tool-dev/ready-file.ts';
import { REPLICA_COUNT } from './stage.ts';
import type { Stage } from './stage.ts';
import { checkDelivery } from './steps/check-delivery.ts';
import { consumeAsGroup } from './steps/consume-as-group.ts';
import { createTopic } from './steps/create-topic.ts';
import { floodNeighbour } from './steps/flood-neighbour.ts';
import { joinBroker } from './steps/join-broker.ts';
import { joinGroup } from './steps/join-group.ts';
import { killLeader } from './steps/kill-leader.ts';
import { produceFlights } from './steps/produce-flights.ts';
import { rankAirports } from './steps/rank-airports.ts';
import { resizeGroup } from './steps/resize-group.ts';
import { showSlowest } from './steps/show-slowest.ts';
import { spreadStorage } from './steps/spread-storage.ts';
import { ownRedis, wipeRedis } from './steps/wipe-redis.ts';
import { workInParallel } from './steps/work-in-parallel.ts';
import { Terminal } from './terminal.ts';
import { startTracing } from './tracing.ts';
import type { TourTracing } from './tracing.ts';

interface TourOptions {
  readonly home: string;
  readonly server?: string;
  readonly keep: boolean;
  readonly kill: boolean;
}

/** A cluster, and where its launcher keeps it: undefined when only addresses are known. */
interface Entered {
  readonly client: PartitaClient;
  readonly servers: readonly string[];
  readonly home: string | undefined;
  /** Undefined = nothing keeps traces. */
  readonly tracing: TourTracing | undefined;
}

const options = new Command('npm run tour --')
  .description(
    'Shows what Partita does on 20,000 real flights, also when a broker dies, and checks it. Takes about a minute.',
  )
  .option('--home <dir>', 'home of a running cluster', process.env['PARTITA_HOME'] ?? '.partita')
  .option('--server <addresses>', 'any public address of a cluster, several by comma; default: PARTITA_SERVER')
  .option('--keep', 'leaves the topic and the group in the cluster', false)
  .option(
    '--no-kill',
    'changes nothing about the cluster itself: no broker is added or killed, its Redis is left alone',
  )
  .addHelpText(
    'after',
    "\nIt adds a broker for a while, empties the launcher's own Redis, and kills one of three brokers with SIGKILL, which the launcher starts again;" +
      '\nwith --server it does none of that.' +
      '\nWithout a running cluster the tour starts one for itself and stops it at the end.',
  )
  .parse()
  .opts<TourOptions>();
const terminal = new Terminal(process.stdout, process.env);
/** Done at the end, last first. */
const cleanUps: ((exitCode: number) => Promise<void>)[] = [];
/** Set once the end has begun: what fails then fails because of it. */
const state = { leaving: false };
process.once('SIGINT', () => void leave(130));
process.once('SIGTERM', () => void leave(143));

try {
  const holds = await tour();
  await leave(holds ? 0 : 1);
} catch (error) {
  if (!state.leaving) process.stderr.write(`\nThe tour stopped: ${describe(error)}\n`);
  await leave(1);
}

/** True when every check held. */
async function tour(): Promise<boolean> {
  const flights = readFlights();
  terminal.title(`Partita on ${flights.length.toLocaleString('en-US')} US flights of early 2001`);
  const { stage, home, tracing } = await enter();
  const leaders = await createTopic(stage);
  if (!options.keep) cleanUps.push(() => stage.client.admin.deleteTopic(stage.topic));
  const members = await joinGroup(stage);
  if (!options.keep) cleanUps.push(() => stage.client.admin.deleteGroup(stage.group));
  cleanUps.push(() => members.stop());
  const sent = await produceFlights(stage, flights);
  await consumeAsGroup(stage, members, sent.length, leaders);
  await checkDelivery(stage, flights, sent, members);
  rankAirports(stage, flights, members.arrivals);
  await spreadWork(stage, flights);
  await flood(stage, flights);
  await resize(stage, flights);
  await addBroker(stage, home, flights);
  await loseRedis(stage, home, flights);
  const lost = await loseBroker(stage, home, flights);
  // Those who waited for a new leader waited longest.
  if (tracing !== undefined) await showSlowest(stage, lost ? stage.replicatedTopic : stage.topic, tracing);
  return conclude(stage.checks);
}

async function spreadWork(stage: Stage, flights: readonly Flight[]): Promise<void> {
  const { admin } = stage.client;
  const { spreadTopic, workTopic } = stage;
  if (!options.keep) {
    for (const topic of [spreadTopic, workTopic, `${workTopic}-1`])
      cleanUps.push(() => stage.client.admin.deleteTopic(topic));
    cleanUps.push(() => admin.deleteGroup(workTopic));
  }
  await spreadStorage(stage, flights);
  await workInParallel(stage, flights);
}

async function flood(stage: Stage, flights: readonly Flight[]): Promise<void> {
  const { quietTopic, floodedTopic } = stage;
  if (!options.keep)
    for (const topic of [quietTopic, floodedTopic]) cleanUps.push(() => stage.client.admin.deleteTopic(topic));
  await floodNeighbour(stage, flights);
}

async function resize(stage: Stage, flights: readonly Flight[]): Promise<void> {
  const { admin } = stage.client;
  if (!options.keep) {
    cleanUps.push(() => admin.deleteTopic(stage.movingTopic));
    cleanUps.push(() => admin.deleteGroup(stage.movingGroup));
  }
  await resizeGroup(stage, flights);
}

/** Where the launcher may start one more. */
async function addBroker(stage: Stage, home: string | undefined, flights: readonly Flight[]): Promise<void> {
  if (!options.kill || home === undefined) return;
  if (!options.keep) cleanUps.push(() => stage.client.admin.deleteTopic(stage.growingTopic));
  await joinBroker(stage, home, flights);
}

/** Where Redis is the launcher's own: nobody else's is touched. */
async function loseRedis(stage: Stage, home: string | undefined, flights: readonly Flight[]): Promise<void> {
  const url = !options.kill || home === undefined ? undefined : ownRedis(home);
  if (url === undefined) return;
  if (!options.keep) cleanUps.push(() => stage.client.admin.deleteTopic(stage.wipedTopic));
  await wipeRedis(stage, url, flights);
}

/** Where the tour may kill a broker, and there are enough of them. Returns whether it did. */
async function loseBroker(stage: Stage, home: string | undefined, flights: readonly Flight[]): Promise<boolean> {
  if (!options.kill || home === undefined) return false;
  const { brokers } = await stage.client.admin.describeCluster();
  if (brokers.length < REPLICA_COUNT) {
    terminal.line(`No broker is killed: that takes ${REPLICA_COUNT} brokers, and there are ${brokers.length}.`);
    return false;
  }
  if (!options.keep) cleanUps.push(() => stage.client.admin.deleteTopic(stage.replicatedTopic));
  await killLeader(stage, home, flights);
  return true;
}

async function enter(): Promise<Pick<Entered, 'home' | 'tracing'> & { readonly stage: Stage }> {
  const { client, servers, home, tracing } = await enterCluster();
  const id = randomBytes(3).toString('hex');
  const names = {
    topic: `flights-${id}`,
    replicatedTopic: `flights-${id}-3`,
    movingTopic: `flights-${id}-12`,
    growingTopic: `flights-${id}-4`,
    wipedTopic: `flights-${id}-redis`,
    spreadTopic: `flights-${id}-spread`,
    workTopic: `flights-${id}-work`,
    floodedTopic: `flights-${id}-flooded`,
    quietTopic: `flights-${id}-quiet`,
    group: `tour-${id}`,
    movingGroup: `tour-${id}-moving`,
  };
  return { stage: { client, servers, terminal, ...names, checks: [] }, home, tracing };
}

/** The cluster that the options name, else one that runs in the home directory, else a new one. */
async function enterCluster(): Promise<Entered> {
  const named = options.server ?? process.env['PARTITA_SERVER'];
  const servers = named === undefined ? serversOf(options.home) : named.split(',');
  if (servers.length > 0) {
    const reached = await connectTo(servers).catch((error: unknown) => {
      if (named !== undefined) throw error;
      terminal.line(`Nobody answers at the addresses in ${join(options.home, 'cluster.json')}.`);
      return undefined;
    });
    if (reached !== undefined) {
      terminal.line(`On the cluster at ${servers.join(', ')}.`);
      const home = named === undefined ? options.home : undefined;
      const tracing = await traceInto(home);
      return { client: tracing === undefined ? reached : await connectTo(servers), servers, home, tracing };
    }
  }
  terminal.line('No cluster runs here: the tour starts one for itself, and stops it at the end …');
  const startMs = performance.now();
  const cluster = launchCluster({ purpose: 'tour', brokerCount: 3, traces: true });
  cleanUps.push(async (exitCode) => {
    await cluster.stop();
    if (exitCode === 1) process.stderr.write(`Data and logs of the cluster are kept in ${cluster.home}.\n`);
    else cluster.removeHome();
  });
  await cluster.untilReady();
  terminal.line(`ready after ${((performance.now() - startMs) / 1000).toFixed(1)} s`);
  const { servers: own, home } = cluster;
  const tracing = await traceInto(home);
  return { client: await connectTo(own), servers: own, home, tracing };
}

/** To the console that the ready-file of a home names. Before the client is made, which traces from its beginning. */
async function traceInto(home: string | undefined): Promise<TourTracing | undefined> {
  return startTracing(home === undefined ? undefined : readReadyFile(home).traces, process.env);
}

async function connectTo(servers: readonly string[]): Promise<PartitaClient> {
  const client = await connect({ servers, clientId: 'partita-tour' });
  cleanUps.push(() => client.close());
  return client;
}

function conclude(checks: readonly Check[]): boolean {
  terminal.step('Checked');
  for (const check of checks) terminal.check(check);
  const failed = checks.filter((check) => !check.holds).length;
  terminal.title(failed === 0 ? `All ${checks.length} checks hold.` : `${failed} of ${checks.length} checks FAILED.`);
  return failed === 0;
}

/** Cleans up and ends the process; a second call leaves that to the first. A clean-up that fails is told, and the others go on. */
async function leave(exitCode: number): Promise<void> {
  if (state.leaving) return;
  state.leaving = true;
  for (const cleanUp of cleanUps.splice(0).reverse()) {
    try {
      await cleanUp(exitCode);
    } catch (error) {
      process.stderr.write(`While cleaning up: ${describe(error)}\n`);
    }
  }
  process.exit(exitCode);
}

function describe(error: unknown): string {
  if (error instanceof PartitaError) return `${error.reason}: ${error.message}`;
  return error instanceof Error ? error.message : String(error);
}
