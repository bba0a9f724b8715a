import { BinaryWriter } from '@bufbuild/protobuf/wire';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FrameWriter, messageBytes } from './frame-writer.ts';

/** A message: fields of bytes, and of messages. */
type Node = readonly (number | Node)[];

const { tree } = fc.letrec<{ tree: Node; size: number }>((tie) => ({
  size: fc.oneof(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 4000, max: 5000 }), fc.constant(70_000)),
  tree: fc.array(fc.oneof({ depthSize: 'small', withCrossShrink: true }, tie('size'), tie('tree')), { maxLength: 5 }),
}));

function write(writer: BinaryWriter, node: Node): BinaryWriter {
  node.forEach((part, index) => {
    if (typeof part === 'number') writer.uint32(10 + index * 8).bytes(new Uint8Array(part).fill(part % 251));
    else write(writer.uint32(10 + index * 8).fork(), part).join();
  });
  return writer;
}

describe('FrameWriter', () => {
  it('writes what the base class writes, for any nesting of small and large fields', () => {
    fc.assert(
      fc.property(tree, (node) => {
        const expected = write(new BinaryWriter(), node).finish();
        expect(Buffer.compare(write(new FrameWriter(), node).finish(), expected)).toBe(0);
      }),
    );
  });

  it('can be used again after finish', () => {
    const writer = new FrameWriter();
    write(writer, [5000, [6000]]).finish();
    expect(Buffer.compare(write(writer, [3, [9000]]).finish(), write(new BinaryWriter(), [3, [9000]]).finish())).toBe(
      0,
    );
  });

  it('copies a large field only when it is finished', () => {
    const field = new Uint8Array(10_000);
    const writer = new FrameWriter().uint32(10).bytes(field);
    field.fill(7);
    expect(writer.finish().at(-1)).toBe(7);
  });
});

describe('messageBytes', () => {
  it('has the bytes of the base class as grpc-js copies them into a frame, for any nesting', () => {
    fc.assert(
      fc.property(tree, (node) => {
        const expected = write(new BinaryWriter(), node).finish();
        const message = messageBytes(write(new FrameWriter(), node));
        const frame = Buffer.alloc(5 + message.length);
        expect(message.copy(frame, 5)).toBe(message.byteLength);
        expect(Buffer.compare(frame.subarray(5), expected)).toBe(0);
      }),
    );
  });

  it('does not copy a large field before', () => {
    const field = new Uint8Array(10_000);
    const message = messageBytes(new FrameWriter().uint32(10).bytes(field));
    field.fill(7);
    const frame = Buffer.alloc(message.length);
    message.copy(frame);
    expect(frame.at(-1)).toBe(7);
  });
});
