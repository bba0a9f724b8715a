/**
 * The descriptors of the contract, indexed for reflection. Files are served with the exact bytes that `buf build` wrote:
 * re-encoding them loses options and map entries. Built once, at the first question.
 */
import { readFileSync } from 'node:fs';
import { fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import type { DescriptorProto, FileDescriptorProto } from '@bufbuild/protobuf/wkt';
import { BinaryReader } from '@bufbuild/protobuf/wire';
import { descriptorsPath } from '@partita/protocol';
import { builtInFiles } from './built-in-descriptors.ts';

interface IndexedFile {
  readonly bytes: Uint8Array;
  readonly dependencies: readonly string[];
}

export interface DescriptorIndex {
  /** The file and all that it imports, itself first; undefined when there is none of that name. */
  byFileName(name: string): Uint8Array[] | undefined;
  /** The same for the file that declares a symbol: `partita.v1.TopicService.GetTopic`. */
  bySymbol(symbol: string): Uint8Array[] | undefined;
  byExtension(containingType: string, number: number): Uint8Array[] | undefined;
  extensionNumbers(containingType: string): number[] | undefined;
}

let shared: DescriptorIndex | undefined;

export function descriptorIndex(): DescriptorIndex {
  shared ??= new Index([...filesOf(readFileSync(descriptorsPath)), ...builtInFiles()]);
  return shared;
}

/** The serialised files of a FileDescriptorSet { repeated FileDescriptorProto file = 1; }. */
function filesOf(set: Uint8Array): Uint8Array[] {
  const reader = new BinaryReader(set);
  const files: Uint8Array[] = [];
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (field === 1) files.push(reader.bytes());
    else reader.skip(wireType, field);
  }
  return files;
}

class Index implements DescriptorIndex {
  readonly #files = new Map<string, IndexedFile>();
  /** Full name of anything declared, to its file's name. */
  readonly #symbols = new Map<string, string>();
  /** Extended type, to number, to file's name. */
  readonly #extensions = new Map<string, Map<number, string>>();

  constructor(files: readonly Uint8Array[]) {
    for (const bytes of files) this.#add(bytes, fromBinary(FileDescriptorProtoSchema, bytes));
  }

  byFileName(name: string): Uint8Array[] | undefined {
    if (!this.#files.has(name)) return undefined;
    const names = new Set([name]);
    for (const each of names) for (const needed of this.#files.get(each)?.dependencies ?? []) names.add(needed);
    return [...names].flatMap((each) => this.#files.get(each)?.bytes ?? []);
  }

  bySymbol(symbol: string): Uint8Array[] | undefined {
    const file = this.#symbols.get(symbol);
    return file === undefined ? undefined : this.byFileName(file);
  }

  byExtension(containingType: string, number: number): Uint8Array[] | undefined {
    const file = this.#extensions.get(containingType)?.get(number);
    return file === undefined ? undefined : this.byFileName(file);
  }

  extensionNumbers(containingType: string): number[] | undefined {
    if (!this.#symbols.has(containingType)) return undefined;
    return [...(this.#extensions.get(containingType)?.keys() ?? [])];
  }

  #add(bytes: Uint8Array, file: FileDescriptorProto): void {
    if (this.#files.has(file.name)) return;
    this.#files.set(file.name, { bytes, dependencies: file.dependency });
    const scope = file.package === '' ? '' : `${file.package}.`;
    const declare = (name: string): unknown => this.#symbols.set(name, file.name);
    for (const message of file.messageType) this.#declareMessage(`${scope}${message.name}`, message, file.name);
    for (const each of file.enumType) declare(`${scope}${each.name}`);
    for (const service of file.service) {
      declare(`${scope}${service.name}`);
      for (const method of service.method) declare(`${scope}${service.name}.${method.name}`);
    }
    for (const extension of file.extension) {
      declare(`${scope}${extension.name}`);
      const type = extension.extendee.replace(/^\./, '');
      const numbers = this.#extensions.get(type) ?? new Map<number, string>();
      this.#extensions.set(type, numbers.set(extension.number, file.name));
    }
  }

  #declareMessage(name: string, message: DescriptorProto, file: string): void {
    this.#symbols.set(name, file);
    for (const field of message.field) this.#symbols.set(`${name}.${field.name}`, file);
    for (const each of message.enumType) this.#symbols.set(`${name}.${each.name}`, file);
    for (const nested of message.nestedType) this.#declareMessage(`${name}.${nested.name}`, nested, file);
  }
}
