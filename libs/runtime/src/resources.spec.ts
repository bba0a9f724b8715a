import { expect, it } from 'vitest';
import { checkResources, openFilesLimit } from './resources.ts';

async function warnings(needs: Parameters<typeof checkResources>[0]): Promise<unknown[]> {
  const messages: unknown[] = [];
  await checkResources(needs, { warn: (...line: unknown[]) => void messages.push(line.at(-1)) });
  return messages;
}

it.runIf(process.platform === 'linux')('reads the limit of open files', () => {
  expect(openFilesLimit()).toBeGreaterThan(100);
});

it('says nothing when the machine has enough', async () => {
  expect(await warnings({ openFiles: 10, freeSpace: { directory: '/tmp', bytes: 1 } })).toEqual([]);
});

it.runIf(process.platform === 'linux')('warns with the number that is needed', async () => {
  const [files, space] = await warnings({ openFiles: 1e12, freeSpace: { directory: '/tmp', bytes: 1024 ** 5 } });
  // A machine without a limit has nothing to warn of.
  if (openFilesLimit() !== Infinity)
    expect(files).toMatch(/^only \d+ files may be open at once, 1000000000000 are needed: raise/);
  expect(openFilesLimit() === Infinity ? files : space).toMatch(
    /^only \d+MiB are free below \/tmp, 1024TiB are needed/,
  );
});
