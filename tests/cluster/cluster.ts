/** A whole control plane in one process: API server, operators, agents' caches. */
import assert from "node:assert/strict";
import { Backoff } from "../../src/identity/backoff.ts";
import { ClusterNodes } from "../../src/identity/cluster_nodes.ts";
import { IpCache } from "../../src/identity/ip_cache.ts";
import { type ClientTlsFiles, OperatorSource } from "../../src/identity/operator_source.ts";
import { IdentityTable } from "../../src/identity/table.ts";
import { type Operator, type OperatorTuning, startOperator } from "../../src/operator/operator.ts";
import { parseOptions } from "../../src/operator/options.ts";
import { ApiServer } from "./api_server.ts";
import { eventually } from "./eventually.ts";
import { meanings, sorted } from "./meaning.ts";
import { truth } from "./truth.ts";

/** An agent, as far as names are concerned. */
export interface TestAgent {
  readonly cache: IpCache;
  readonly nodes: ClusterNodes;
  readonly source: OperatorSource;
  readonly messages: string[];
}

export class TestCluster {
  readonly messages: string[] = [];
  readonly agents: TestAgent[] = [];
  readonly operators: Operator[] = [];

  private constructor(readonly api: ApiServer, readonly folder: string, readonly kubeconfig: string) {}

  static async start(): Promise<TestCluster> {
    const folder = await Deno.makeTempDir();
    const api = await ApiServer.start();
    return new TestCluster(api, folder, await api.writeKubeconfig(`${folder}/kubeconfig`));
  }

  async operator(args: readonly string[] = [], tuning: OperatorTuning = {}): Promise<Operator> {
    const fixed = ["--grpc-address", "127.0.0.1", "--debug-address", "127.0.0.1", "--kubeconfig", this.kubeconfig];
    const ports = args.includes("--grpc-port") ? [] : ["--grpc-port", "0"];
    const options = parseOptions([...fixed, ...ports, "--debug-port", "0", "--batch-interval", "5", ...args], {
      env: () => undefined,
      hostname: () => "test",
    });
    const operator = await startOperator(options, (_level, message) => void this.messages.push(message), tuning);
    this.operators.push(operator);
    return operator;
  }

  async stopOperator(operator: Operator): Promise<void> {
    this.operators.splice(this.operators.indexOf(operator), 1);
    await operator.stop();
  }

  agent(address: string, tls?: ClientTlsFiles, delayMs = 50): TestAgent {
    const cache = new IpCache(new IdentityTable());
    const nodes = new ClusterNodes();
    const messages: string[] = [];
    const source = new OperatorSource({
      address,
      nodeName: `node-${this.agents.length + 1}`,
      cache,
      nodes,
      report: (_level, message) => void messages.push(message),
      // Always the same short delay, so that tests do not wait.
      backoff: new class extends Backoff {
        override next() {
          return delayMs;
        }
      }(),
      ...(tls && { tls }),
    });
    source.start();
    const agent = { cache, nodes, source, messages };
    this.agents.push(agent);
    return agent;
  }

  /** Every agent (or the given ones) comes to know exactly what the API server holds. */
  async settled(agents: readonly TestAgent[] = this.agents): Promise<void> {
    for (const { cache, source, messages } of agents) {
      await eventually(() => {
        assert.ok(source.status().connected, `${messages.at(-1)} ${this.messages.at(-1)}`);
        assert.deepEqual(meanings(cache.entries()), sorted(truth([...this.api.world.values()])));
      });
    }
  }

  async stop(): Promise<void> {
    await Promise.all(this.agents.map(({ source }) => source.stop()));
    await Promise.all(this.operators.map((operator) => operator.stop()));
    await this.api.stop();
    await Deno.remove(this.folder, { recursive: true });
  }
}

export async function withCluster(test: (cluster: TestCluster) => Promise<void>): Promise<void> {
  const cluster = await TestCluster.start();
  try {
    await test(cluster);
  } finally {
    await cluster.stop();
  }
}
