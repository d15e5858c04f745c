import assert from "node:assert/strict";
import { EVENT, IpProtocol, ObservationPoint, SLOT_SIZE, TcpFlag, TrafficDirection } from "../flow/record.ts";
import { FlowMetrics } from "./flow_metrics.ts";

class Slots {
  readonly u8 = new Uint8Array(2 * SLOT_SIZE);
  readonly u16 = new Uint16Array(this.u8.buffer);
  readonly u32 = new Uint32Array(this.u8.buffer);

  set(at: number, fields: Partial<Record<keyof typeof EVENT, number>>): this {
    const wide = new Set(["bytes", "held_packets", "held_bytes", "held_ack", "held_psh"]);
    for (const [name, value] of Object.entries(fields)) {
      const offset = at + EVENT[name as keyof typeof EVENT];
      if (wide.has(name)) this.u32[offset / 4] = value;
      else if (name === "tcp_flags") this.u16[offset / 2] = value;
      else this.u8[offset] = value;
    }
    return this;
  }

  countInto(metrics: FlowMetrics, at: number): void {
    metrics.record(this.u8, this.u16, this.u32, at);
  }
}

const nonZero = <T extends { value: number }>(all: Iterable<T>): T[] => [...all].filter((series) => series.value > 0);

Deno.test("FlowMetrics.record() counts what conntrack held back, not reports alone", () => {
  const metrics = new FlowMetrics();
  const slots = new Slots().set(SLOT_SIZE, {
    protocol: IpProtocol.UDP,
    observation_point: ObservationPoint.TO_ENDPOINT,
    traffic_direction: TrafficDirection.INGRESS,
    bytes: 100,
    held_packets: 9,
    held_bytes: 900,
  });
  slots.countInto(metrics, SLOT_SIZE);
  slots.countInto(metrics, SLOT_SIZE);
  assert.deepEqual(nonZero(metrics.events()), [{ protocol: "UDP", subtype: "to-endpoint", value: 2 }]);
  assert.deepEqual([...metrics.traffic()].filter((t) => t.packets > 0), [
    { direction: "ingress", observation_point: "to-endpoint", packets: 20, bytes: 2000 },
  ]);
  assert.deepEqual(nonZero(metrics.tcpFlags()), []);
});

Deno.test("FlowMetrics.record() adds flags of the packet and of held-back packets, by family", () => {
  const metrics = new FlowMetrics();
  new Slots().set(0, {
    protocol: IpProtocol.TCP,
    ip_version: 6,
    tcp_flags: TcpFlag.SYN | TcpFlag.ACK | TcpFlag.NS,
    held_packets: 300,
    held_ack: 300,
    held_psh: 40,
    held_ns: 2,
    held_rst: 1,
  }).countInto(metrics, 0);
  const flags = Object.fromEntries(nonZero(metrics.tcpFlags()).map((f) => [`${f.flag} ${f.family}`, f.value]));
  assert.deepEqual(flags, { "SYN IPv6": 1, "RST IPv6": 1, "PSH IPv6": 40, "ACK IPv6": 301, "NS IPv6": 3 });
});

Deno.test("FlowMetrics.record() counts unknown protocols and directions instead of dropping them", () => {
  const metrics = new FlowMetrics();
  new Slots().set(0, { protocol: 47, traffic_direction: 200, observation_point: 3, bytes: 60 }).countInto(metrics, 0);
  assert.deepEqual(nonZero(metrics.events()), [{ protocol: "other", subtype: "to-network", value: 1 }]);
  assert.deepEqual([...metrics.traffic()].filter((t) => t.packets > 0), [
    { direction: "unknown", observation_point: "to-network", packets: 1, bytes: 60 },
  ]);
});
