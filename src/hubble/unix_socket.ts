/** The file of a unix socket: who owns it, and its end. */
import { connect } from "node:net";

/**
 * Makes `path` free to bind: a socket that nobody serves any more is removed.
 * @throws Error when a process answers there, or when the file is no socket.
 */
export async function claimSocketPath(path: string): Promise<void> {
  let info: Deno.FileInfo;
  try {
    info = await Deno.lstat(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    throw error;
  }
  if (!info.isSocket) {
    throw new Error(
      `Cannot listen on unix://${path}: the path is no socket; remove it or choose another --hubble-socket`,
    );
  }
  if (await isServed(path)) {
    throw new Error(
      `Cannot listen on unix://${path}: another process serves it; stop it or choose another --hubble-socket`,
    );
  }
  removeSocket(path);
}

/** Removes the file of a socket; it may be gone already. */
export function removeSocket(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

function isServed(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
