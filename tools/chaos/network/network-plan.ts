/**
 * A network of its own for a cluster: a namespace for each process, all of them on one bridge, whose address is the one of
 * the clients. Names and addresses follow from the process id of the owner, so that several runs do not meet, and what a
 * killed owner left behind is known by its name.
 */

/** Of whoever is not a process of the cluster. */
export const CLIENTS = 'clients';

export interface NetworkPlan {
  readonly ownerPid: number;
  readonly bridge: string;
  /** Of the bridge: where the clients are. */
  readonly clients: string;
  /** With its mask. */
  readonly subnet: string;
  readonly members: readonly NetworkMember[];
}

export interface NetworkMember {
  /** Of the process: `broker-1`. */
  readonly name: string;
  readonly namespace: string;
  /** End of its cable at the bridge. */
  readonly link: string;
  readonly address: string;
}

const NAME = /^partita-chaos-(\d+)(?:-|$)/;
const LINK = /^pch(\d+)(?:-|$)/;
const SUBNETS_PER_BLOCK = 256;
const BLOCK_FIRST = 128;
const BLOCK_COUNT = 64;
const HOST_FIRST = 11;

export function planNetwork(ownerPid: number, names: readonly string[]): NetworkPlan {
  const block = BLOCK_FIRST + (Math.floor(ownerPid / SUBNETS_PER_BLOCK) % BLOCK_COUNT);
  const base = `10.${block}.${ownerPid % SUBNETS_PER_BLOCK}`;
  return {
    ownerPid,
    bridge: `pch${ownerPid}`,
    clients: `${base}.1`,
    subnet: `${base}.0/24`,
    members: names.map((name, index) => ({
      name,
      namespace: `partita-chaos-${ownerPid}-${name}`,
      link: `pch${ownerPid}-${index}`,
      address: `${base}.${HOST_FIRST + index}`,
    })),
  };
}

/** Process that made a namespace; undefined of one that is not ours. */
export function ownerOfNamespace(namespace: string): number | undefined {
  return numberOf(NAME.exec(namespace)?.[1]);
}

/** The same of a bridge or a cable. */
export function ownerOfLink(link: string): number | undefined {
  return numberOf(LINK.exec(link)?.[1]);
}

/** Whoever is asked by that name. Throws when there is none. */
export function memberOf(plan: NetworkPlan, name: string): NetworkMember {
  const member = plan.members.find((candidate) => candidate.name === name);
  if (member === undefined) throw new Error(`${name} is not in the network`);
  return member;
}

/** Says nsenter whose network the command that follows is to have. It becomes that command's process. */
export function netOf({ namespace }: NetworkMember): string {
  return `--net=/run/netns/${namespace}`;
}

function numberOf(digits: string | undefined): number | undefined {
  return digits === undefined ? undefined : Number(digits);
}
