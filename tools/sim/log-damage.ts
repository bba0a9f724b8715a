/** What happens to stored files while the power is off. */
import { DATA } from './log-identity.ts';
import type { Damage } from './log-plan.ts';
import type { LogWorld } from './log-world.ts';
import { basesOf, segmentFile } from './stored-files.ts';

/** Damages some files as the plan has it. */
export function injectDamage(world: LogWorld): void {
  const { plan, random } = world;
  if (plan.damages.length === 0 || !random.chance(plan.damage)) return;
  for (let left = random.between(1, 2); left > 0; left -= 1) damage(world, random.pick(plan.damages));
}

function damage(world: LogWorld, kind: Damage): void {
  const { disk, random, trace, tally } = world;
  const path = kind === 'flip checkpoint' ? `${DATA}/checkpoint` : pathOf(world, kind);
  const file = path === undefined ? undefined : disk.names.file(path);
  if (path === undefined || file === undefined || file.size === 0) return;
  trace.note(`  ${kind}: ${path}`);
  tally.add(`damage: ${kind}`);
  if (kind === 'lose index' || kind === 'lose snapshot') {
    disk.names.remove(path);
    disk.names.sync(path.slice(0, path.lastIndexOf('/')));
  } else if (kind === 'stale index') file.shorten(random.below(file.size));
  else if (kind === 'shorten log') {
    file.shorten(random.below(file.size));
    world.shortened.add(file);
  } else disk.flip(path);
}

function pathOf({ disk, random }: LogWorld, kind: Damage): string | undefined {
  const ending = kind.endsWith('log') ? 'log' : kind.endsWith('index') ? 'idx' : 'snapshot';
  const bases = basesOf(disk, ending);
  return bases.length === 0 ? undefined : segmentFile(random.pick(bases), ending);
}
