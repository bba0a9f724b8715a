import { expect, it } from 'vitest';
import { reportProducers } from './producer-report.ts';
import { ScriptedHistory } from './testing/scripted-history.ts';

it('counts sends and requests apart, and repeats of requests beyond their first sends', () => {
  const script = new ScriptedHistory();
  script.send('x', 0, { session: 's' }).fail('y', { session: 's' }).info('z', { session: 't' });
  script.begin('u', { session: 't' });
  script.info('r', { requestId: 'r' }).send('r', 1, { requestId: 'r' }).send('q', 2, { requestId: 'q' });
  expect(reportProducers(script.events)).toEqual({
    ...{ sessionCount: 2, sendCount: 4, ackedCount: 1, refusedCount: 1, unknownCount: 2, repeatedAckCount: 0 },
    ...{ requestCount: 2, requestRepeatCount: 1, requestRepeatAckCount: 0 },
  });
});
