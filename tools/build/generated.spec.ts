import { describe, expect, it } from 'vitest';
import { faceOf } from './face.ts';
import { rewriteGenerated } from './postgen.ts';

const file = (path: string, source: string): { path: string; source: string } => ({ path, source });

describe('the face of the generated code', () => {
  it('lists values and types by name, a name that is both once, and nothing private', () => {
    const face = faceOf([
      file(
        'a.ts',
        'export const protobufPackage = "a";\nexport interface A {\n}\nexport const A = {};\nexport type B = 1;\n',
      ),
    ]);
    expect(face).toContain("export {\n  A,\n} from './a.ts';");
    expect(face).toContain("export type {\n  B,\n} from './a.ts';");
    expect(face).not.toContain('protobufPackage');
  });

  it('is refused when two files export one name, with both files named', () => {
    const files = [file('a.ts', 'export const A = 1;\n'), file('b.ts', 'export interface A {\n}\n')];
    expect(() => faceOf(files)).toThrow('A: in a.ts and in b.ts');
  });
});

describe('the rewriting of generated code', () => {
  const anchor = 'export const protobufPackage = "a";\n';

  it('serialises without another copy and shares the empty default', () => {
    const { source, replacements } = rewriteGenerated(
      `${anchor}f = Buffer.from(A.encode(value).finish());\nb = new Uint8Array(0);\nc = new Uint8Array(0);\n`,
      '../frame-writer.ts',
    );
    expect(replacements).toBe(3);
    expect(source).toContain("import { messageBytes } from '../frame-writer.ts';");
    expect(source).toContain('f = messageBytes(A.encode(value));');
    expect(source.match(/EMPTY_BYTES;/g)).toHaveLength(2);
    expect(source.indexOf('const EMPTY_BYTES')).toBeLessThan(source.indexOf(anchor));
  });

  it('lets messages be encoded by our writer', () => {
    const { source } = rewriteGenerated(
      `${anchor}f = (writer = new BinaryWriter()) => writer;\n`,
      '../frame-writer.ts',
    );
    expect(source).toContain("import { FrameWriter } from '../frame-writer.ts';");
    expect(source).toContain('writer = new FrameWriter()');
  });

  it('leaves a file without either as it is', () => {
    expect(rewriteGenerated(anchor, 'w.ts')).toEqual({ source: anchor, replacements: 0 });
  });

  it('fails when the output no longer has the line it writes before', () => {
    expect(() => rewriteGenerated('b = new Uint8Array(0);', 'w.ts')).toThrow(/adapt postgen/);
  });
});
