import { INSTRUMENTS } from '@partita/telemetry';
import { expect, it } from 'vitest';
import { isShippedSource, readText, repositoryFiles } from './workspace.ts';

it('every instrument of the table is used by a service or a library', () => {
  const sources = repositoryFiles().filter(
    (path) => isShippedSource(path) && /^(apps|libs)\//.test(path) && !path.startsWith('libs/telemetry/'),
  );
  const text = sources.map(readText).join('\n');
  expect(Object.keys(INSTRUMENTS).filter((name) => !text.includes(`'${name}'`))).toEqual([]);
});
