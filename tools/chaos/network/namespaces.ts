/** Makes the network of a plan, and removes it: also networks whose owners were killed. */
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { netOf, ownerOfLink, ownerOfNamespace } from './network-plan.ts';
import type { NetworkMember, NetworkPlan } from './network-plan.ts';

const run = promisify(execFile);
const COMMAND_MS_MAX = 20_000;
const NAMESPACES = '/run/netns';

/** Everybody reaches everybody when it resolves. Rejects when the system does not let it; what was made is removed. */
export async function createNetwork(plan: NetworkPlan): Promise<void> {
  const { bridge, clients, members } = plan;
  await removeLeftNetworks();
  try {
    const links = members.flatMap(({ link, namespace, address }) => [
      `link add ${link} type veth peer name eth0 netns ${namespace}`,
      `link set ${link} master ${bridge} up`,
      `-n ${namespace} address add ${address}/24 dev eth0`,
      `-n ${namespace} link set eth0 up`,
      `-n ${namespace} link set lo up`,
    ]);
    for (const { namespace } of members) await ip('netns', 'add', namespace);
    await ip('link', 'add', bridge, 'type', 'bridge');
    await ip('address', 'add', `${clients}/24`, 'dev', bridge);
    await ip('link', 'set', bridge, 'up');
    for (const line of links) await ip(...line.split(' '));
    // Whether there can be rules is better known now.
    for (const member of members.slice(0, 1)) await runIn(member, 'nft', 'list', 'tables');
  } catch (error) {
    await removeNetwork(plan.ownerPid);
    throw error;
  }
}

/** Whatever there is of that owner's network. Processes in it must be gone before. Never rejects. */
export async function removeNetwork(ownerPid: number): Promise<void> {
  for (const link of linksOf((pid) => pid === ownerPid)) await ip('link', 'delete', link).catch(() => undefined);
  for (const namespace of namespacesOf((pid) => pid === ownerPid))
    await ip('netns', 'delete', namespace).catch(() => undefined);
}

/** Networks of owners that are gone. What still runs in them keeps its namespace, without a cable. */
export async function removeLeftNetworks(): Promise<void> {
  const owners = new Set<number>();
  const isLeft = (pid: number): boolean => {
    if (!isAlive(pid)) owners.add(pid);
    return false;
  };
  linksOf(isLeft);
  namespacesOf(isLeft);
  for (const owner of owners) await removeNetwork(owner);
}

function runIn(member: NetworkMember, ...command: readonly string[]): Promise<unknown> {
  return run('nsenter', [netOf(member), ...command], { timeout: COMMAND_MS_MAX });
}

function ip(...args: readonly string[]): Promise<unknown> {
  return run('ip', args, { timeout: COMMAND_MS_MAX });
}

function namespacesOf(isWanted: (ownerPid: number) => boolean): string[] {
  return entries(NAMESPACES).filter((name) => matches(ownerOfNamespace(name), isWanted));
}

function linksOf(isWanted: (ownerPid: number) => boolean): string[] {
  return entries('/sys/class/net').filter((name) => matches(ownerOfLink(name), isWanted));
}

function matches(owner: number | undefined, isWanted: (ownerPid: number) => boolean): boolean {
  return owner !== undefined && isWanted(owner);
}

function entries(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return []; // nobody has made a namespace yet
  }
}

function isAlive(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat[stat.lastIndexOf(')') + 2] !== 'Z';
  } catch {
    return false;
  }
}
