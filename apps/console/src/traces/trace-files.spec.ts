import { appendFileSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TraceFiles } from './trace-files.ts';

const BOUNDS = { fileBytesMax: 100, filesBytesMax: 300, fileCountMax: 5, queueBytesMax: 1000 };
let folder: string;

beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'partita-traces-'))));
afterEach(() => rmSync(folder, { recursive: true }));

const bytes = (text: string): Buffer => Buffer.from(text);
const storedIn = (files: TraceFiles): string[] => [...files.stored()].map((frame) => Buffer.from(frame).toString());

describe('files of received spans', () => {
  it('give a later start every request, in order, whatever its bytes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 400 }), { maxLength: 5 }), async (requests) => {
        const own = mkdtempSync(join(folder, 'run-'));
        const files = new TraceFiles(own);
        await Promise.all(requests.map((request) => files.append(request)));
        const read = [...new TraceFiles(own).stored()].map((frame) => Buffer.from(frame).toString('hex'));
        expect(read).toEqual(requests.map((request) => Buffer.from(request).toString('hex')));
      }),
      { numRuns: 30 },
    );
  });

  it('pass over a frame that a crash tore, and never write behind it', async () => {
    await new TraceFiles(folder).append(bytes('whole'));
    appendFileSync(join(folder, 'traces-v1-0000000001.otlp'), Buffer.from([9, 1, 2]));
    await new TraceFiles(folder).append(bytes('later'));
    expect(storedIn(new TraceFiles(folder))).toEqual(['whole', 'later']);
  });

  it.each([[[0x80]], [[0xff, 0xff, 0xff, 0xff, 0xff, 0x01]]])('pass over a length that is none: %j', async (torn) => {
    await new TraceFiles(folder).append(bytes('whole'));
    appendFileSync(join(folder, 'traces-v1-0000000001.otlp'), Buffer.from(torn));
    expect(storedIn(new TraceFiles(folder))).toEqual(['whole']);
  });

  it('keep the newest within their bounds', async () => {
    const files = new TraceFiles(folder, BOUNDS);
    for (let index = 100; index < 150; index += 1) await files.append(bytes(`${index}${'x'.repeat(40)}`));
    const kept = storedIn(new TraceFiles(folder, BOUNDS)).map((text) => text.slice(0, 3));
    expect(kept).toEqual(['144', '145', '146', '147', '148', '149']);
  });

  it('are not more than so many, however often the console starts', async () => {
    for (let start = 0; start < 9; start += 1) await new TraceFiles(folder, BOUNDS).append(bytes(`start ${start}`));
    expect(readdirSync(folder).length).toBe(5);
    expect(storedIn(new TraceFiles(folder, BOUNDS))[0]).toBe('start 4');
  });

  it('refuse what would wait beyond the queue, and go on after it', async () => {
    const files = new TraceFiles(folder, { ...BOUNDS, fileBytesMax: 2000, filesBytesMax: 4000 });
    const first = files.append(Buffer.alloc(900, 'a'));
    await expect(files.append(Buffer.alloc(200, 'b'))).rejects.toMatchObject({ reason: 'QUEUE_FULL' });
    await first;
    await files.append(bytes('c'));
    expect(storedIn(new TraceFiles(folder)).map((text) => text[0])).toEqual(['a', 'c']);
  });

  it('tell the caller of a disk that fails, and go on with the next request', async () => {
    const files = new TraceFiles(folder);
    rmSync(folder, { recursive: true });
    await expect(files.append(bytes('lost'))).rejects.toThrow('ENOENT');
    folder = mkdtempSync(join(tmpdir(), 'partita-traces-'));
    await expect(files.flushed()).resolves.toBeUndefined();
  });
});
