import assert from "node:assert/strict";
import { fromBinary, type MessageInitShape } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { Code, createClient, createRouterTransport } from "@connectrpc/connect";
import { Health } from "../../proto/gen/grpc/health/v1/health_pb.ts";
import {
  ServerReflection,
  type ServerReflectionRequestSchema,
} from "../../proto/gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as Alpha } from "../../proto/gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { Observer } from "../../proto/gen/observer/observer_pb.ts";
import { reflection } from "./reflection.ts";

type Question = NonNullable<MessageInitShape<typeof ServerReflectionRequestSchema>["messageRequest"]>;

/** Answers of one version of the service to questions on one stream. */
async function ask(service: typeof ServerReflection | typeof Alpha, ...questions: Question[]) {
  const client = createClient(
    service as typeof ServerReflection,
    createRouterTransport(reflection([Observer, Health])),
  );
  async function* requests() {
    for (const messageRequest of questions) yield { host: "h", messageRequest };
  }
  return await Array.fromAsync(client.serverReflectionInfo(requests()), ({ messageResponse }) => messageResponse);
}

async function filesOf(service: typeof ServerReflection | typeof Alpha, question: Question): Promise<string[]> {
  const [answer] = await ask(service, question);
  assert.equal(answer.case, "fileDescriptorResponse", JSON.stringify(answer));
  return answer.case === "fileDescriptorResponse"
    ? answer.value.fileDescriptorProto.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes).name)
    : [];
}

for (const service of [ServerReflection, Alpha]) {
  const version = service.typeName.split(".").at(-2);

  Deno.test(`reflection() ${version} lists the services`, async () => {
    const [answer] = await ask(service, { case: "listServices", value: "" });
    assert.ok(answer.case === "listServicesResponse");
    assert.deepEqual(answer.value.service.map(({ name }) => name), [
      "grpc.health.v1.Health",
      "grpc.reflection.v1.ServerReflection",
      "grpc.reflection.v1alpha.ServerReflection",
      "observer.Observer",
    ]);
  });

  Deno.test(`reflection() ${version} describes symbols with all that their files import`, async () => {
    for (const symbol of ["observer.Observer", "observer.Observer.GetFlows", "observer.GetFlowsRequest.Experimental"]) {
      const files = await filesOf(service, { case: "fileContainingSymbol", value: symbol });
      assert.equal(files[0], "observer/observer.proto", symbol);
      assert.ok(files.includes("flow/flow.proto") && files.includes("google/protobuf/any.proto"));
    }
    assert.equal(
      (await filesOf(service, { case: "fileContainingSymbol", value: "flow.Flow.time" }))[0],
      "flow/flow.proto",
    );
  });
}

Deno.test("reflection() finds files by the names that others import them by", async () => {
  for (const value of ["flow/flow.proto", "google/protobuf/timestamp.proto"]) {
    assert.equal((await filesOf(ServerReflection, { case: "fileByFilename", value }))[0], value);
  }
});

Deno.test("reflection() answers every question of a stream, and errors in their places", async () => {
  const answers = await ask(
    ServerReflection,
    { case: "fileByFilename", value: "no.proto" },
    { case: "fileContainingSymbol", value: "no.Such" },
    { case: "fileContainingExtension", value: { containingType: "flow.Flow", extensionNumber: 5 } },
    { case: "allExtensionNumbersOfType", value: "flow.Flow" },
    { case: "allExtensionNumbersOfType", value: "no.Such" },
    { case: undefined },
  );
  assert.deepEqual(
    answers.map((answer) => answer.case === "errorResponse" ? Code[answer.value.errorCode] : answer.case),
    [
      "NotFound",
      "NotFound",
      "NotFound",
      "allExtensionNumbersResponse",
      "NotFound",
      "InvalidArgument",
    ],
  );
});
