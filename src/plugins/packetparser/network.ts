import { defaultRouteInterfaces, LinkMonitor, listAddresses, listLinks } from "../../../ffi/netlink.ts";
import type { Network } from "./watcher.ts";

/** The network namespace that this process is in. */
export const network: Network = {
  listLinks,
  facts: () => ({ defaultRoutes: defaultRouteInterfaces(), addresses: listAddresses() }),
  monitor: () => new LinkMonitor(),
};
