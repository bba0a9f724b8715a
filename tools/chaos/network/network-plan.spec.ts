import { describe, expect, it } from 'vitest';
import { memberOf, netOf, ownerOfLink, ownerOfNamespace, planNetwork } from './network-plan.ts';

const names = ['redis', 'broker-1', 'consumer-group-2'];

describe('the network of a cluster', () => {
  it('has an address and a namespace for each process, and names that the system takes', () => {
    const plan = planNetwork(4_194_303, names);
    const addresses = [plan.clients, ...plan.members.map(({ address }) => address)];
    expect(new Set(addresses).size).toBe(addresses.length);
    for (const name of [plan.bridge, ...plan.members.map(({ link }) => link)]) expect(name.length).toBeLessThan(16);
    expect(netOf(memberOf(plan, 'broker-1'))).toBe('--net=/run/netns/partita-chaos-4194303-broker-1');
    expect(() => memberOf(plan, 'broker-9')).toThrow('broker-9 is not in the network');
  });

  it('of another owner has other addresses', () => {
    const [one, other] = [planNetwork(4000, names), planNetwork(4001, names)];
    expect(one.subnet).not.toBe(other.subnet);
  });

  it('tells by its names whose it is, and what is not ours', () => {
    const { bridge, members } = planNetwork(77, names);
    expect([bridge, ...members.map(({ link }) => link)].map(ownerOfLink)).toEqual([77, 77, 77, 77]);
    expect(members.map(({ namespace }) => ownerOfNamespace(namespace))).toEqual([77, 77, 77]);
    expect(['eth0', 'docker0', 'pchair'].map(ownerOfLink)).toEqual([undefined, undefined, undefined]);
    expect(['blue', 'partita-chaos-x'].map(ownerOfNamespace)).toEqual([undefined, undefined]);
  });
});
