/** Server reflection, v1 and v1alpha: the services of this listener, and the contract's exact descriptors. */
import { status } from '@grpc/grpc-js';
import type { MethodDefinition, Server } from '@grpc/grpc-js';
import { bindBidi } from './bidi-stream.ts';
import { descriptorIndex } from './descriptor-index.ts';
import type { DescriptorIndex } from './descriptor-index.ts';
import { bidi } from './methods.ts';
import { decodeReflectionRequest, encodeReflectionResponse } from './reflection-codec.ts';
import type {
  ReflectionAnswer,
  ReflectionQuestion,
  ReflectionRequest,
  ReflectionResponse,
} from './reflection-codec.ts';
import type { ServerCore } from './server-core.ts';
import { readable } from './unreadable.ts';

const SERVICES = ['grpc.reflection.v1.ServerReflection', 'grpc.reflection.v1alpha.ServerReflection'];
const HEALTH = 'grpc.health.v1.Health';

/** Adds reflection; `names` are the services added so far and later. */
export function addReflection(server: Server, core: ServerCore, names: readonly string[]): void {
  const method = bidi<ReflectionRequest, ReflectionResponse>((stream, context) => {
    context.draining.addEventListener('abort', () => stream.end(), { once: true, signal: context.signal });
    return {
      onMessage: (request) => {
        if (!stream.send({ request, answer: answer(request.question, names) })) stream.pause();
        stream.onDrain(() => stream.resume());
      },
    };
  });
  for (const service of SERVICES) {
    const definition = reflectionMethod(`/${service}/ServerReflectionInfo`);
    server.addService(
      { serverReflectionInfo: { ...definition, requestDeserialize: readable(definition) } },
      { serverReflectionInfo: bindBidi(core, definition, method) },
    );
  }
}

function reflectionMethod(path: string): MethodDefinition<ReflectionRequest, ReflectionResponse> {
  const oneWay = (): never => {
    throw new TypeError(`${path} is only served`);
  };
  return {
    path,
    requestStream: true,
    responseStream: true,
    requestSerialize: oneWay,
    requestDeserialize: decodeReflectionRequest,
    responseSerialize: encodeReflectionResponse,
    responseDeserialize: oneWay,
  };
}

function answer(question: ReflectionQuestion, names: readonly string[]): ReflectionAnswer {
  const index: DescriptorIndex = descriptorIndex();
  switch (question.kind) {
    case 'listServices':
      return { kind: 'services', names: [...names, HEALTH, ...SERVICES].sort() };
    case 'fileByName':
      return files(index.byFileName(question.name), question.name);
    case 'fileOfSymbol':
      return files(index.bySymbol(question.name), question.name);
    case 'fileOfExtension':
      return files(index.byExtension(question.name, question.number), `${question.name} [${question.number}]`);
    case 'extensionNumbers': {
      const numbers = index.extensionNumbers(question.name);
      return numbers === undefined
        ? notFound(question.name)
        : { kind: 'extensionNumbers', name: question.name, numbers };
    }
    case 'none':
      return { kind: 'error', code: status.INVALID_ARGUMENT, message: 'the request asks nothing' };
  }
}

function files(found: Uint8Array[] | undefined, name: string): ReflectionAnswer {
  return found === undefined ? notFound(name) : { kind: 'files', files: found };
}

function notFound(name: string): ReflectionAnswer {
  return { kind: 'error', code: status.NOT_FOUND, message: `nothing is called ${name}` };
}
