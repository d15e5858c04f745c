import { Errno } from "../../../ffi/errno.ts";
import { SystemError } from "../../../ffi/error.ts";
import type { Link, LinkChange } from "../../../ffi/link.ts";
import type { LinkChanges } from "../../../ffi/netlink.ts";
import type { InterfaceNames, PluginLogger } from "../plugin.ts";
import type { Attacher } from "./attach.ts";
import { assignRoles, type NetworkFacts, type Role, type Wanted } from "./roles.ts";
import { type InterfaceState, WatchedInterface } from "./watched.ts";

/** How often everything is listed again, in case that a change was missed. */
const RESYNC_INTERVAL_MS = 60_000;
/** Addresses and routes are not followed; they are listed again at most this often when interfaces change. */
const FACTS_INTERVAL_MS = 1000;

/**
 * Time for attaching within one turn, and at start. The kernel waits for a grace period of RCU at each attachment by TCX, some
 * milliseconds; a node with hundreds of pods shall be ready before the last of them is attached, and read events meanwhile.
 */
const TURN_BUDGET_MS = 20;
const START_BUDGET_MS = 300;
/** Pause before a socket that broke is made anew. */
const REOPEN_INTERVAL_MS = 1000;

/** The kernel's network as the watcher sees it: netlink, or a play of it in tests. */
export interface Network {
  listLinks(): Link[];
  facts(): NetworkFacts;
  /** Starts following changes. */
  monitor(): { poll(): LinkChanges } & Disposable;
}

/** What an {@link InterfaceWatcher} needs. */
export interface InterfaceWatcherOptions {
  readonly network: Network;
  readonly attacher: Attacher;
  readonly wanted: Wanted;
  readonly names: InterfaceNames;
  readonly log: PluginLogger;
  /** Called before an interface is forgotten: events that still carry its index need its name. */
  readonly beforeRemoval: () => void;
  readonly now?: () => number;
}

/** Counts of what the watcher did. */
export interface WatcherCounters {
  /** Full listings, the first among them. */
  resyncs: number;
  /** Times that the kernel dropped changes. */
  overruns: number;
  /** Times that the socket broke and was made anew. */
  reopened: number;
  /** Tries to attach that failed. */
  failures: number;
}

/** Keeps the programs attached to the right interfaces while interfaces come and go. */
export class InterfaceWatcher {
  readonly counters: WatcherCounters = { resyncs: 0, overruns: 0, reopened: 0, failures: 0 };
  readonly #options: InterfaceWatcherOptions;
  readonly #now: () => number;
  readonly #links = new Map<number, Link>();
  readonly #watched = new Map<number, WatchedInterface>();
  #monitor: ({ poll(): LinkChanges } & Disposable) | undefined;
  #facts: NetworkFacts = { defaultRoutes: new Set(), addresses: [] };
  #factsAt = -Infinity;
  #resyncDue = 0;
  #reopenAt = 0;

  constructor(options: InterfaceWatcherOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  /**
   * Attaches to what is there, if that does not take long; from then on {@link poll} goes on and follows changes. It is for the caller
   * to call it some times in 100 ms.
   *
   * @throws {Error} when an interface that was named is not there, or the kernel refuses to attach to it.
   */
  start(): void {
    this.#monitor = this.#options.network.monitor();
    this.#resync();
    this.#checkNamed();
    this.#attachDue(START_BUDGET_MS);
  }

  /** Detaches everything. Stopping twice is harmless. */
  stop(): void {
    this.#monitor?.[Symbol.dispose]();
    this.#monitor = undefined;
    for (const watched of this.#watched.values()) watched.detach();
    this.#watched.clear();
  }

  /** How each watched interface stands. */
  states(): InterfaceState[] {
    return [...this.#watched.values()].map((watched) => watched.state());
  }

  /** Whether an interface is among those that are watched, attached or about to be. */
  isWatched(ifindex: number): boolean {
    return this.#watched.has(ifindex);
  }

  /**
   * Takes the kernel's changes in (a microsecond when there are none), lists everything again when that is due, attaches what is due.
   *
   * @returns whether there is more to attach at once
   */
  poll(): boolean {
    const changes = this.#takeChanges();
    const now = this.#now();
    if (changes.overrun || now >= this.#resyncDue) {
      this.#resync();
    } else if (changes.changes.length > 0) {
      for (const change of changes.changes) this.#take(change);
      this.#reconcile();
    }
    return this.#attachDue(TURN_BUDGET_MS);
  }

  /** Attaches what is due, one at least, until the time is over. Returns whether some are left. */
  #attachDue(budgetMs: number): boolean {
    const now = this.#now();
    for (const watched of this.#watched.values()) {
      if (watched.attached || now < watched.retryAt) continue;
      if (this.#now() - now > budgetMs) return true;
      this.#attach(watched);
    }
    return false;
  }

  #takeChanges(): LinkChanges {
    if (this.#monitor === undefined && this.#now() < this.#reopenAt) return { changes: [], overrun: false };
    try {
      this.#monitor ??= this.#reopen();
      const changes = this.#monitor.poll();
      if (changes.overrun) {
        this.counters.overruns++;
        this.#options.log.warning("The kernel dropped changes of interfaces, listing them again");
      }
      return changes;
    } catch (error) {
      this.#options.log.warning("Following interfaces failed, starting again: {error}", { error: String(error) });
      this.#monitor?.[Symbol.dispose]();
      this.#monitor = undefined;
      this.#reopenAt = this.#now() + REOPEN_INTERVAL_MS;
      return { changes: [], overrun: false };
    }
  }

  #reopen(): { poll(): LinkChanges } & Disposable {
    const monitor = this.#options.network.monitor();
    this.counters.reopened++;
    this.#resyncDue = 0;
    return monitor;
  }

  #take({ kind, link }: LinkChange): void {
    const watched = this.#watched.get(link.index);
    if (kind === "removed") {
      this.#links.delete(link.index);
      if (watched !== undefined) this.#forget(watched);
      return;
    }
    this.#links.set(link.index, link);
    // The index may belong to another interface by now, and whatever was attached went with the former one.
    if (watched?.attached === true && !watched.verify()) this.#forget(watched);
  }

  #resync(): void {
    const { network, log } = this.#options;
    try {
      const links = network.listLinks();
      this.#refreshFacts();
      this.#links.clear();
      for (const link of links) this.#links.set(link.index, link);
      this.#resyncDue = this.#now() + RESYNC_INTERVAL_MS;
      this.counters.resyncs++;
    } catch (error) {
      // Without a list nothing is known to be gone: what is attached stays.
      log.warning("Listing interfaces failed, trying again: {error}", { error: String(error) });
      this.#resyncDue = this.#now() + FACTS_INTERVAL_MS;
      return;
    }
    for (const watched of [...this.#watched.values()]) {
      if (!this.#links.has(watched.ifindex) || (watched.attached && !watched.verify())) this.#forget(watched);
    }
    this.#reconcile();
  }

  #refreshFacts(): void {
    this.#facts = this.#options.network.facts();
    this.#factsAt = this.#now();
  }

  /** Makes what is attached agree with what is wanted. */
  #reconcile(): void {
    if (this.#now() - this.#factsAt >= FACTS_INTERVAL_MS) {
      try {
        this.#refreshFacts();
      } catch (error) {
        this.#options.log.warning("Listing addresses and routes failed: {error}", { error: String(error) });
      }
    }
    const roles = assignRoles(this.#links.values(), this.#options.wanted, this.#facts);
    for (const watched of [...this.#watched.values()]) {
      const link = this.#links.get(watched.ifindex);
      const role = roles.get(watched.ifindex);
      // An interface that goes down keeps its programs: it may come back within a packet.
      const keep = role === undefined ? link?.up === false : isSameRole(role, watched.role);
      if (!keep) this.#forget(watched);
    }
    for (const [ifindex, role] of roles) this.#watch(this.#links.get(ifindex) as Link, role);
  }

  #watch(link: Link, role: Role): void {
    let watched = this.#watched.get(link.index);
    if (watched === undefined) {
      watched = new WatchedInterface(link.index, link.name, role);
      this.#watched.set(link.index, watched);
      this.#options.names.set(link.index, link.name);
    } else if (watched.name !== link.name) {
      watched.name = link.name;
      this.#options.names.set(link.index, link.name);
    }
  }

  #attach(watched: WatchedInterface): void {
    const properties = { interface: watched.name, ifindex: watched.ifindex, point: watched.role.point };
    if (watched.attach(this.#options.attacher, this.#now())) {
      this.#options.log.info("Watching {interface} ({point}, index {ifindex})", properties);
      return;
    }
    this.counters.failures++;
    if (isGone(watched.error)) {
      // It vanished between the notice and now; the notice of that is on its way.
      this.#options.log.debug("{interface} is gone before it could be watched", properties);
      return;
    }
    this.#options.log.warning("Cannot watch {interface} ({point}), try {failures}, trying again: {error}", {
      ...properties,
      failures: watched.failures,
      error: String(watched.error),
    });
  }

  #forget(watched: WatchedInterface): void {
    this.#options.beforeRemoval();
    watched.detach();
    this.#watched.delete(watched.ifindex);
    this.#options.names.remove(watched.ifindex);
    this.#options.log.info("No longer watching {interface} ({point}, index {ifindex})", {
      interface: watched.name,
      ifindex: watched.ifindex,
      point: watched.role.point,
    });
  }

  /** At start, and only then, an interface that was named must be there and take the programs. */
  #checkNamed(): void {
    for (const name of this.#options.wanted.extraInterfaces) {
      if (name === "auto") continue;
      const link = [...this.#links.values()].find((link) => link.name === name);
      if (link === undefined) {
        const names = [...this.#links.values()].map((link) => link.name).join(", ");
        throw new Error(
          `Cannot watch interface ${JSON.stringify(name)}: there is none of that name, expected one of ${names}`,
        );
      }
      const watched = this.#watched.get(link.index);
      if (watched === undefined || watched.attached) continue; // it is down, or named twice
      this.#attach(watched);
      if (watched.error !== undefined) throw watched.error;
    }
  }
}

function isGone(error: unknown): boolean {
  return error instanceof SystemError && error.errno === Errno.ENODEV;
}

function isSameRole(a: Role, b: Role): boolean {
  return a.point === b.point && a.ethernet === b.ethernet && a.ingressOnly === b.ingressOnly;
}
