import { expect, it } from 'vitest';
import { reportGroup } from './group-report.ts';
import { ScriptedHistory } from './testing/scripted-history.ts';

it('a report of a group counts what happened to it, and how long a partition stood still', () => {
  const script = new ScriptedHistory()
    .send('x', 0)
    .send('y', 1)
    .assigned(1, 2, 0)
    .consume(1, [[0, 'x']]);
  script.commit(1, 2, 1).wait(500).assigned(2, 3, 1);
  script
    .consume(2, [[1, 'y']])
    .commit(1, 2, 1, 'fail')
    .commit(2, 3, 2, 'info')
    .poll([[0, 'x']], 7);
  expect(reportGroup(script.events, 'g')).toMatchObject({
    givenCount: 2,
    assignedCount: 2,
    rebalanceCount: 2,
    commitOkCount: 1,
    commitRefusedCount: 1,
    commitUnknownCount: 1,
  });
  expect(reportGroup(script.events, 'g').silenceMsMax).toBeGreaterThan(500);
  expect(reportGroup(script.events, 'other').givenCount).toBe(0);
});
