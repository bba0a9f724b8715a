/**
 * Descriptors of the services that every listener has beside the contract: health and reflection. Their packages bring
 * none that can be served (proto-loader re-encodes maps wrongly), so their few messages are told here, as data.
 */
import { create, toBinary } from '@bufbuild/protobuf';
import {
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  FileDescriptorProtoSchema,
} from '@bufbuild/protobuf/wkt';

/** `name:number:type`, `repeated` before it if so; a type in capitals is a message, `enum X` an enum; `@oneof` behind. */
type Field = string;
type Messages = Readonly<Record<string, readonly Field[]>>;
type Method = readonly [name: string, request: string, response: string, streams: '' | 'server' | 'both'];

interface FileText {
  readonly name: string;
  readonly package: string;
  readonly service: string;
  readonly methods: readonly Method[];
  readonly messages: Messages;
}

const SCALARS: Readonly<Record<string, FieldDescriptorProto_Type>> = {
  string: FieldDescriptorProto_Type.STRING,
  bytes: FieldDescriptorProto_Type.BYTES,
  int32: FieldDescriptorProto_Type.INT32,
};

const HEALTH: FileText = {
  name: 'grpc/health/v1/health.proto',
  package: 'grpc.health.v1',
  service: 'Health',
  methods: [
    ['Check', 'HealthCheckRequest', 'HealthCheckResponse', ''],
    ['List', 'HealthListRequest', 'HealthListResponse', ''],
    ['Watch', 'HealthCheckRequest', 'HealthCheckResponse', 'server'],
  ],
  messages: {
    HealthCheckRequest: ['service:1:string'],
    HealthCheckResponse: ['status:1:enum HealthCheckResponse.ServingStatus'],
    HealthListRequest: [],
    HealthListResponse: ['repeated statuses:1:HealthListResponse.StatusesEntry'],
  },
};

const REFLECTION_MESSAGES: Messages = {
  ServerReflectionRequest: [
    'host:1:string',
    'file_by_filename:3:string@message_request',
    'file_containing_symbol:4:string@message_request',
    'file_containing_extension:5:ExtensionRequest@message_request',
    'all_extension_numbers_of_type:6:string@message_request',
    'list_services:7:string@message_request',
  ],
  ExtensionRequest: ['containing_type:1:string', 'extension_number:2:int32'],
  ServerReflectionResponse: [
    'valid_host:1:string',
    'original_request:2:ServerReflectionRequest',
    'file_descriptor_response:4:FileDescriptorResponse@message_response',
    'all_extension_numbers_response:5:ExtensionNumberResponse@message_response',
    'list_services_response:6:ListServiceResponse@message_response',
    'error_response:7:ErrorResponse@message_response',
  ],
  FileDescriptorResponse: ['repeated file_descriptor_proto:1:bytes'],
  ExtensionNumberResponse: ['base_type_name:1:string', 'repeated extension_number:2:int32'],
  ListServiceResponse: ['repeated service:1:ServiceResponse'],
  ServiceResponse: ['name:1:string'],
  ErrorResponse: ['error_code:1:int32', 'error_message:2:string'],
};

function reflection(version: string): FileText {
  return {
    name: `grpc/reflection/${version}/reflection.proto`,
    package: `grpc.reflection.${version}`,
    service: 'ServerReflection',
    methods: [['ServerReflectionInfo', 'ServerReflectionRequest', 'ServerReflectionResponse', 'both']],
    messages: REFLECTION_MESSAGES,
  };
}

/** The serialised files. */
export function builtInFiles(): Uint8Array[] {
  return [HEALTH, reflection('v1'), reflection('v1alpha')].map(serialise);
}

function serialise(text: FileText): Uint8Array {
  const scope = `.${text.package}.`;
  const messageType = Object.entries(text.messages).map(([name, fields]) => message(scope, name, fields));
  const file = create(FileDescriptorProtoSchema, {
    name: text.name,
    package: text.package,
    syntax: 'proto3',
    messageType,
    service: [
      {
        name: text.service,
        method: text.methods.map(([name, request, response, streams]) => ({
          name,
          inputType: scope + request,
          outputType: scope + response,
          clientStreaming: streams === 'both',
          serverStreaming: streams !== '',
        })),
      },
    ],
  });
  return toBinary(FileDescriptorProtoSchema, text === HEALTH ? withHealthTypes(file, scope) : file);
}

type FileMessage = ReturnType<typeof create<typeof FileDescriptorProtoSchema>>;

/** What the notation above cannot say: an enum within a message, and a map. */
function withHealthTypes(file: FileMessage, scope: string): FileMessage {
  const values = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN'];
  const extra = create(FileDescriptorProtoSchema, {
    messageType: [
      { enumType: [{ name: 'ServingStatus', value: values.map((name, number) => ({ name, number })) }] },
      {
        nestedType: [
          {
            name: 'StatusesEntry',
            field: ['key:1:string', 'value:2:HealthCheckResponse'].map((each) => field(scope, each, [])),
            options: { mapEntry: true },
          },
        ],
      },
    ],
  });
  for (const each of file.messageType) {
    if (each.name === 'HealthCheckResponse') each.enumType = extra.messageType[0]?.enumType ?? [];
    if (each.name === 'HealthListResponse') each.nestedType = extra.messageType[1]?.nestedType ?? [];
  }
  return file;
}

function message(scope: string, name: string, fields: readonly Field[]) {
  const oneofs = [...new Set(fields.flatMap((each) => each.split('@')[1] ?? []))];
  return {
    name,
    field: fields.map((each) => field(scope, each, oneofs)),
    oneofDecl: oneofs.map((each) => ({ name: each })),
  };
}

function field(scope: string, text: Field, oneofs: readonly string[]) {
  const [declaration = '', oneof] = text.split('@');
  const repeated = declaration.startsWith('repeated ');
  const [name = '', number = '', type = ''] = declaration.replace(/^repeated /, '').split(':');
  const scalar = SCALARS[type];
  const isEnum = type.startsWith('enum ');
  const named = isEnum ? FieldDescriptorProto_Type.ENUM : FieldDescriptorProto_Type.MESSAGE;
  return {
    name,
    number: Number(number),
    label: repeated ? FieldDescriptorProto_Label.REPEATED : FieldDescriptorProto_Label.OPTIONAL,
    type: scalar ?? named,
    ...(scalar === undefined ? { typeName: scope + type.replace(/^enum /, '') } : {}),
    ...(oneof === undefined ? {} : { oneofIndex: oneofs.indexOf(oneof) }),
  };
}
