/**
 * A process of clients that may be killed at any moment: producers, each with a session of its own, and requests with ids. What
 * they do and are told is in the journal before anything follows from it. Ends on the message `stop`, or with its parent.
 */
import { pause } from '@partita/client';
import { connectSoon } from '../assigned-reading.ts';
import { Recorder } from '../recorder.ts';
import { machineMs } from './client-plan.ts';
import type { ClientPlan } from './client-plan.ts';
import { sendRecords } from './record-sender.ts';
import { sendRequests } from './request-sender.ts';

const plan = JSON.parse(process.argv[2] ?? '') as ClientPlan;
const stopping = new AbortController();
process.on('message', () => stopping.abort());
process.once('disconnect', () => process.exit(1));

const recorder = new Recorder({ path: plan.journal, isJournal: true, nowMs: machineMs });
const site = { ...plan, recorder, stopping: stopping.signal };
const client = await connectSoon(site);
process.send?.('ready');
if (client !== undefined) {
  const senders = plan.senders.map((sender) => sendRecords(site, client, sender));
  await Promise.all([...senders, sendRequests(site, client, plan.requester)]);
  await client.close();
}
recorder.close();
// Answers that come late have nobody to go to; give the streams a moment to end cleanly.
await pause(0);
process.exit(0);
