/** Networks that lose what is sent, in both directions or in one. Connections stay open: nobody is told. */
import { REDIS } from '../cluster/launcher-messages.ts';
import type { Cut } from '../network/cuts.ts';
import { CLIENTS } from '../network/network-plan.ts';
import type { Fault, Stage } from './fault.ts';

interface Cutting {
  readonly target: string;
  readonly cuts: readonly Cut[];
}

function cutting(
  name: string,
  says: string,
  plan: (stage: Stage, members: readonly string[]) => Promise<Cutting>,
): Fault {
  return {
    name,
    says,
    needs: ['network'],
    mixes: true,
    inject: async (stage) => {
      const network = stage.cluster.cuts;
      if (network === undefined) throw new Error('there is no network to cut');
      const { target, cuts } = await plan(stage, network.members);
      return { target, heal: await network.cut(cuts) };
    },
  };
}

/** Neither hears the other. */
function apart(one: readonly string[], others: readonly string[]): Cut[] {
  return one.flatMap((from) =>
    others
      .filter((to) => to !== from)
      .flatMap((to) => [
        { from, to },
        { from: to, to: from },
      ]),
  );
}

/** Nobody, clients included. */
async function alone(name: string, members: readonly string[]): Promise<Cutting> {
  return { target: name, cuts: apart([name], [...members, CLIENTS]) };
}

const othersOf = (members: readonly string[], prefix: string, name: string): string[] =>
  members.filter((member) => member.startsWith(prefix) && member !== name);

export const PARTITIONS: readonly Fault[] = [
  cutting('leader-isolated', 'the leader is cut off from everybody', async ({ roles }, members) =>
    alone(await roles.nameOf('leader'), members),
  ),
  cutting('leader-deaf', 'the leader hears nobody, and everybody hears it', async ({ roles }, members) => {
    const leader = await roles.nameOf('leader');
    const senders = [...members, CLIENTS].filter((name) => name !== leader);
    return { target: leader, cuts: senders.map((from) => ({ from, to: leader })) };
  }),
  cutting('leader-mute', 'nobody hears the leader, and it hears everybody', async ({ roles }, members) => {
    const leader = await roles.nameOf('leader');
    const hearers = [...members, CLIENTS].filter((name) => name !== leader);
    return { target: leader, cuts: hearers.map((to) => ({ from: leader, to })) };
  }),
  cutting(
    'leader-without-followers',
    'the leader is cut off from the other brokers, and from nobody else',
    async ({ roles }, members) => {
      const leader = await roles.nameOf('leader');
      return { target: leader, cuts: apart([leader], othersOf(members, 'broker-', leader)) };
    },
  ),
  cutting(
    'leader-without-coordinators',
    'the leader is cut off from the coordinators, and from nobody else',
    async ({ roles }, members) => {
      const leader = await roles.nameOf('leader');
      return { target: leader, cuts: apart([leader], othersOf(members, 'coordinator-', '')) };
    },
  ),
  cutting('follower-isolated', 'a follower is cut off from everybody', async ({ roles }, members) =>
    alone(await roles.nameOf('follower'), members),
  ),
  cutting(
    'brokers-bridged',
    'one broker hears all, and the others do not hear each other',
    async ({ roles }, members) => {
      const bridge = await roles.nameOf('follower');
      const [first = '', ...rest] = othersOf(members, 'broker-', bridge);
      return { target: `${first}|${rest.join()}`, cuts: apart([first], rest) };
    },
  ),
  cutting('coordinator-isolated', 'the active coordinator is cut off from everybody', async ({ roles }, members) =>
    alone(await roles.nameOf('active-coordinator'), members),
  ),
  cutting(
    'coordinator-without-redis',
    'the active coordinator is cut off from Redis, and from nobody else',
    async ({ roles }) => {
      const active = await roles.nameOf('active-coordinator');
      return { target: active, cuts: apart([active], [REDIS]) };
    },
  ),
  cutting(
    'coordinators-apart',
    'the coordinators are cut off from each other, and the active one from Redis',
    async ({ roles }, members) => {
      const active = await roles.nameOf('active-coordinator');
      return { target: active, cuts: apart([active], [...othersOf(members, 'coordinator-', active), REDIS]) };
    },
  ),
  cutting(
    'brokers-halved',
    'half of the brokers hear one coordinator, the others the other one, and neither half the other half',
    async ({ roles }, members) => {
      const active = await roles.nameOf('active-coordinator');
      const leader = await roles.nameOf('leader');
      const one = [active, leader];
      const other = members.filter((name) => /^(broker|coordinator)-/.test(name) && !one.includes(name));
      return { target: one.join(), cuts: apart(one, other) };
    },
  ),
  cutting(
    'shard-owner-isolated',
    "the instance that has the group's shard is cut off from everybody",
    async ({ roles }, members) => alone(await roles.nameOf('shard-owner'), members),
  ),
  cutting('gateway-isolated', 'a producer-gateway is cut off from everybody', async ({ roles }, members) =>
    alone(await roles.nameOf('gateway'), members),
  ),
  cutting('redis-away', 'Redis is cut off from everybody', async (_stage, members) => alone(REDIS, members)),
];
