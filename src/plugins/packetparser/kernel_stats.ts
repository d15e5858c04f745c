import { type BpfMap, possibleCpuCount } from "../../../ffi/bpf_map.ts";

/** Counters of the programs, in the order of `enum stat` of `bpf/stats.h`. */
export const STAT_NAMES = [
  "packets",
  "bytes",
  "events",
  "lost",
  "not_ip",
  "l2_truncated",
  "l3_truncated",
  "l4_truncated",
  "bad_header",
  "too_many_headers",
  "conntrack_created",
  "conntrack_restarted",
  "conntrack_failed",
  "untracked_lost",
] as const;
export type StatName = typeof STAT_NAMES[number];

/** Sums over all CPUs. */
export type KernelCounters = Readonly<Record<StatName, number>>;

/** Reads the per-CPU counters of the programs and notices losses. */
export class KernelStats {
  readonly #map: BpfMap;
  readonly #perfLost: () => ReadonlyMap<number, number>;
  readonly #key = new Uint8Array(4);
  readonly #bytes: Uint8Array;
  readonly #words: BigUint64Array;
  readonly #cpus: number;
  readonly #lost: number[];

  /** @param perfLost losses as the perf rings reported them, by CPU */
  constructor(map: BpfMap, perfLost: () => ReadonlyMap<number, number> = () => new Map()) {
    this.#map = map;
    this.#perfLost = perfLost;
    this.#cpus = possibleCpuCount();
    this.#bytes = new Uint8Array(map.bufferSize);
    this.#words = new BigUint64Array(this.#bytes.buffer);
    this.#lost = Array.from({ length: this.#cpus }, () => 0);
  }

  /** Sums over all CPUs since the programs were loaded. */
  totals(): KernelCounters {
    this.#map.lookup(this.#key, this.#bytes);
    const sum = (index: number) => {
      let total = 0;
      for (let cpu = 0; cpu < this.#cpus; cpu++) total += this.#at(cpu, index);
      return total;
    };
    return Object.fromEntries(STAT_NAMES.map((name, index) => [name, sum(index)])) as Record<StatName, number>;
  }

  /** Events lost since the programs were loaded, for each CPU. */
  lostByCpu(): readonly number[] {
    this.#map.lookup(this.#key, this.#bytes);
    const index = STAT_NAMES.indexOf("lost");
    const reported = this.#perfLost();
    // Before Linux 5.1 a program does not learn that its perf ring was full; since then its count is the complete one and comes sooner.
    return this.#lost.map((_, cpu) => Math.max(this.#at(cpu, index), reported.get(cpu) ?? 0));
  }

  /** Losses since the last call, of the CPUs that had any. */
  newLosses(): { cpu: number; count: number }[] {
    const losses: { cpu: number; count: number }[] = [];
    for (const [cpu, total] of this.lostByCpu().entries()) {
      if (total > this.#lost[cpu]) losses.push({ cpu, count: total - this.#lost[cpu] });
      this.#lost[cpu] = total;
    }
    return losses;
  }

  #at(cpu: number, index: number): number {
    return Number(this.#words[cpu * (this.#words.length / this.#cpus) + index]);
  }
}
