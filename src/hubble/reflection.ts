/** gRPC server reflection, v1 and v1alpha: which services there are, and their descriptors. */
import {
  create,
  createRegistry,
  type DescFile,
  type DescService,
  fromBinary,
  type MessageInitShape,
  type Registry,
  toBinary,
} from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { Code, type ConnectRouter } from "@connectrpc/connect";
import {
  ServerReflection,
  type ServerReflectionRequest,
  ServerReflectionRequestSchema,
  type ServerReflectionResponse,
  ServerReflectionResponseSchema,
} from "../../proto/gen/grpc/reflection/v1/reflection_pb.ts";
import * as alpha from "../../proto/gen/grpc/reflection/v1alpha/reflection_pb.ts";

type Answer = NonNullable<MessageInitShape<typeof ServerReflectionResponseSchema>["messageResponse"]>;

/** Adds both versions of the reflection service, which then describe `services` and themselves. */
export function reflection(services: readonly DescService[]): (router: ConnectRouter) => void {
  const described = [...services, ServerReflection, alpha.ServerReflection];
  const files = new Map<string, DescFile>();
  for (const { file } of described) collectFiles(file, files);
  const registry = createRegistry(...files.values());
  const names = described.map((service) => service.typeName).sort();
  const respond = (request: ServerReflectionRequest): ServerReflectionResponse =>
    create(ServerReflectionResponseSchema, {
      validHost: request.host,
      originalRequest: request,
      messageResponse: answer(request, names, files, registry),
    });
  return (router) => {
    router.rpc(ServerReflection.method.serverReflectionInfo, async function* (requests) {
      for await (const request of requests) yield respond(request);
    });
    // The two versions differ in the package only: on the wire a message of one is a message of the other.
    router.rpc(alpha.ServerReflection.method.serverReflectionInfo, async function* (requests) {
      for await (const request of requests) {
        const bytes = toBinary(alpha.ServerReflectionRequestSchema, request);
        const response = respond(fromBinary(ServerReflectionRequestSchema, bytes));
        yield fromBinary(alpha.ServerReflectionResponseSchema, toBinary(ServerReflectionResponseSchema, response));
      }
    });
  };
}

function collectFiles(file: DescFile, into: Map<string, DescFile>): void {
  const name = fileName(file);
  if (into.has(name)) return;
  into.set(name, file);
  for (const dependency of file.dependencies) collectFiles(dependency, into);
}

/** The name that other files import it by; protobuf-es drops the extension. */
function fileName(file: DescFile): string {
  return file.proto.name;
}

function answer(
  { messageRequest: { case: question, value } }: ServerReflectionRequest,
  names: readonly string[],
  files: ReadonlyMap<string, DescFile>,
  registry: Registry,
): Answer {
  switch (question) {
    case "listServices":
      return { case: "listServicesResponse", value: { service: names.map((name) => ({ name })) } };
    case "fileByFilename":
      return describe(files.get(value), value);
    case "fileContainingSymbol":
      return describe(fileOfSymbol(registry, value), value);
    case "fileContainingExtension":
      return failure(Code.NotFound, `Unknown extension ${value.extensionNumber} of ${value.containingType}`);
    case "allExtensionNumbersOfType":
      return registry.get(value) === undefined
        ? failure(Code.NotFound, `Unknown type ${value}`)
        : { case: "allExtensionNumbersResponse", value: { baseTypeName: value, extensionNumber: [] } };
    default:
      return failure(Code.InvalidArgument, "Empty reflection request");
  }
}

/** A symbol may be a type or a service, or a part of one: a method, a field, an enum's value. */
function fileOfSymbol(registry: Registry, symbol: string): DescFile | undefined {
  const type = registry.get(symbol) ?? registry.get(symbol.slice(0, Math.max(0, symbol.lastIndexOf("."))));
  return type?.file;
}

function describe(file: DescFile | undefined, name: string): Answer {
  if (file === undefined) return failure(Code.NotFound, `Unknown file or symbol ${JSON.stringify(name)}`);
  const files = new Map<string, DescFile>();
  collectFiles(file, files);
  const fileDescriptorProto = [...files.values()].map(({ proto }) => toBinary(FileDescriptorProtoSchema, proto));
  return { case: "fileDescriptorResponse", value: { fileDescriptorProto } };
}

function failure(errorCode: Code, errorMessage: string): Answer {
  return { case: "errorResponse", value: { errorCode, errorMessage } };
}
