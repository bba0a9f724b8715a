import { MemoryDisk } from '@partita/testkit';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { decodeCheckedJson, encodeCheckedJson } from './checked-json.ts';
import {
  decodeTopicConfigFile,
  encodeTopicConfigFile,
  readTopicConfigFile,
  writeTopicConfigFile,
} from './topic-config-file.ts';

it('gives the fields of a checked file back, and none when a byte was changed', () => {
  const fields = fc.dictionary(
    fc.string().filter((key) => key !== 'crc' && key !== '__proto__'),
    fc.jsonValue(),
  );
  fc.assert(
    fc.property(fields, fc.nat(), fc.integer({ min: 1, max: 255 }), (object, at, flip) => {
      const bytes = encodeCheckedJson(object);
      const plain: unknown = JSON.parse(JSON.stringify(object));
      expect(decodeCheckedJson(bytes)).toEqual(plain);
      bytes[at % bytes.length]! ^= flip;
      const damaged = decodeCheckedJson(bytes);
      // A flip in the name of the checksum, or in white space, leaves what it protects as it was.
      if (damaged !== undefined) expect(damaged).toMatchObject(plain as object);
    }),
  );
  expect(decodeCheckedJson(Buffer.from('{"a": 1}'))).toEqual({ a: 1 });
  expect(decodeCheckedJson(Buffer.from('[1'))).toBeUndefined();
});

it('gives a topic config back, and says what is wrong with one', async () => {
  fc.assert(
    fc.property(fc.uint8Array(), fc.nat(), (content, at) => {
      const bytes = encodeTopicConfigFile(content);
      expect(decodeTopicConfigFile(bytes)).toEqual(Buffer.from(content));
      bytes[at % bytes.length]! ^= 4;
      expect(decodeTopicConfigFile(bytes)).toBe('damaged');
    }),
  );
  const disk = new MemoryDisk();
  await disk.makeDirectory('/t');
  expect(await readTopicConfigFile(disk, '/t')).toBeUndefined();
  await writeTopicConfigFile(disk, '/t', Buffer.from('abc'));
  disk.crash();
  expect(await readTopicConfigFile(disk, '/t')).toEqual(Buffer.from('abc'));
  await disk.writeFileAtomically('/t/topic.config', Buffer.from('abc'));
  await expect(readTopicConfigFile(disk, '/t')).rejects.toMatchObject({ reason: 'CORRUPT_BATCH' });
});
