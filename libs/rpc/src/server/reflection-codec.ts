/**
 * The messages of grpc.reflection.v1 and v1alpha (they are alike on the wire):
 *
 *   ServerReflectionRequest  { host = 1; oneof { file_by_filename = 3; file_containing_symbol = 4;
 *     file_containing_extension = 5 { containing_type = 1; extension_number = 2 }; all_extension_numbers_of_type = 6;
 *     list_services = 7 } }
 *   ServerReflectionResponse { valid_host = 1; original_request = 2; oneof { file_descriptor_response = 4 { repeated
 *     bytes = 1 }; all_extension_numbers_response = 5 { base_type_name = 1; repeated int32 extension_number = 2 };
 *     list_services_response = 6 { repeated service = 1 { name = 1 } }; error_response = 7 { code = 1; message = 2 } } }
 */
import { BinaryReader, BinaryWriter } from '@bufbuild/protobuf/wire';

export type ReflectionQuestion =
  | { readonly kind: 'fileByName' | 'fileOfSymbol' | 'extensionNumbers'; readonly name: string }
  | { readonly kind: 'fileOfExtension'; readonly name: string; readonly number: number }
  | { readonly kind: 'listServices' }
  | { readonly kind: 'none' };

/** A question, and the bytes it came in, which the answer repeats. */
export interface ReflectionRequest {
  readonly bytes: Uint8Array;
  readonly question: ReflectionQuestion;
}

export type ReflectionAnswer =
  | { readonly kind: 'files'; readonly files: readonly Uint8Array[] }
  | { readonly kind: 'extensionNumbers'; readonly name: string; readonly numbers: readonly number[] }
  | { readonly kind: 'services'; readonly names: readonly string[] }
  | { readonly kind: 'error'; readonly code: number; readonly message: string };

export interface ReflectionResponse {
  readonly request: ReflectionRequest;
  readonly answer: ReflectionAnswer;
}

const lengthDelimited = (field: number): number => (field << 3) | 2;
const VARINT_1 = 8;

export function decodeReflectionRequest(bytes: Uint8Array): ReflectionRequest {
  const reader = new BinaryReader(bytes);
  let question: ReflectionQuestion = { kind: 'none' };
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (field === 3) question = { kind: 'fileByName', name: reader.string() };
    else if (field === 4) question = { kind: 'fileOfSymbol', name: reader.string() };
    else if (field === 5) question = { kind: 'fileOfExtension', ...decodeExtension(reader.bytes()) };
    else if (field === 6) question = { kind: 'extensionNumbers', name: reader.string() };
    else if (field === 7) question = { kind: 'listServices' };
    if (field < 3 || field > 7) reader.skip(wireType, field);
    else if (field === 7) reader.string();
  }
  return { bytes, question };
}

function decodeExtension(bytes: Uint8Array): { name: string; number: number } {
  const reader = new BinaryReader(bytes);
  const extension = { name: '', number: 0 };
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (field === 1) extension.name = reader.string();
    else if (field === 2) extension.number = reader.int32();
    else reader.skip(wireType, field);
  }
  return extension;
}

export function encodeReflectionResponse({ request, answer }: ReflectionResponse): Buffer {
  const writer = new BinaryWriter();
  writer.uint32(lengthDelimited(2)).bytes(request.bytes);
  switch (answer.kind) {
    case 'files':
      writer.uint32(lengthDelimited(4)).fork();
      for (const file of answer.files) writer.uint32(lengthDelimited(1)).bytes(file);
      break;
    case 'extensionNumbers':
      writer.uint32(lengthDelimited(5)).fork().uint32(lengthDelimited(1)).string(answer.name);
      writer.uint32(lengthDelimited(2)).fork();
      for (const number of answer.numbers) writer.int32(number);
      writer.join();
      break;
    case 'services':
      writer.uint32(lengthDelimited(6)).fork();
      for (const name of answer.names) {
        writer.uint32(lengthDelimited(1)).fork().uint32(lengthDelimited(1)).string(name).join();
      }
      break;
    case 'error':
      writer.uint32(lengthDelimited(7)).fork();
      writer.uint32(VARINT_1).int32(answer.code).uint32(lengthDelimited(2)).string(answer.message);
      break;
  }
  const bytes = writer.join().finish();
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
