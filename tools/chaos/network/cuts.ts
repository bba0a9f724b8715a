/**
 * Who does not hear whom. A cut is silent: packets are dropped, connections stay as they are, as when a cable is out. Cuts of
 * several faults lie on top of each other; each ends for itself.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { CLIENTS, memberOf, netOf } from './network-plan.ts';
import type { NetworkPlan } from './network-plan.ts';

/** What `from` sends does not arrive at `to`; a name of the network, or CLIENTS. */
export interface Cut {
  readonly from: string;
  readonly to: string;
}

const TABLE = 'partita_chaos';

export class Cuts {
  readonly #plan: NetworkPlan;
  readonly #active = new Set<readonly Cut[]>();
  /** Rules that each member has now. */
  readonly #applied = new Map<string, string>();
  #applying: Promise<void> = Promise.resolve();

  constructor(plan: NetworkPlan) {
    this.#plan = plan;
  }

  /** Every process of the network, without the clients. */
  get members(): string[] {
    return this.#plan.members.map(({ name }) => name);
  }

  /** Resolves when they hold, with what ends them. */
  async cut(cuts: readonly Cut[]): Promise<() => Promise<void>> {
    this.#active.add(cuts);
    await this.#apply();
    return async () => {
      this.#active.delete(cuts);
      await this.#apply();
    };
  }

  /** Ends all. */
  async heal(): Promise<void> {
    this.#active.clear();
    await this.#apply();
  }

  /** One after the other, since each looks at what holds. */
  #apply(): Promise<void> {
    this.#applying = this.#applying.then(async () => {
      for (const { name } of this.#plan.members) {
        const rules = rulesOf(this.#plan, name, [...this.#active].flat());
        if (rules === (this.#applied.get(name) ?? '')) continue;
        await setRules(this.#plan, name, rules);
        this.#applied.set(name, rules);
      }
    });
    return this.#applying;
  }
}

/** What is dropped where it arrives, and of what goes to the clients where it leaves. Empty = nothing. */
function rulesOf(plan: NetworkPlan, name: string, cuts: readonly Cut[]): string {
  const addressOf = (other: string): string => (other === CLIENTS ? plan.clients : memberOf(plan, other).address);
  const list = (names: readonly string[]): string => [...new Set(names)].map(addressOf).toSorted().join(', ');
  const sources = list(cuts.filter(({ to }) => to === name).map(({ from }) => from));
  const targets = list(cuts.filter(({ from, to }) => from === name && to === CLIENTS).map(({ to }) => to));
  return [
    ...(sources === '' ? [] : [chain('arriving', 'input', `ip saddr { ${sources} } drop`)]),
    ...(targets === '' ? [] : [chain('leaving', 'output', `ip daddr { ${targets} } drop`)]),
  ].join('\n');
}

function chain(name: string, hook: string, rule: string): string {
  return `  chain ${name} { type filter hook ${hook} priority 0; policy accept; ${rule}; }`;
}

/** In one step: there is no moment with half of the rules. */
async function setRules(plan: NetworkPlan, name: string, rules: string): Promise<void> {
  const text = `add table inet ${TABLE}\ndelete table inet ${TABLE}\ntable inet ${TABLE} {\n${rules}\n}\n`;
  const child = spawn('nsenter', [netOf(memberOf(plan, name)), 'nft', '-f', '-'], {
    stdio: ['pipe', 'ignore', 'pipe'],
  });
  let output = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (output += chunk));
  child.stdin.end(text);
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`nft in ${name} ended with ${code}: ${output}\n${text}`);
}
