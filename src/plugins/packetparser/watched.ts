import type { TcAttachment } from "../../../ffi/tc.ts";
import type { Attacher } from "./attach.ts";
import type { Role } from "./roles.ts";

/** First and longest pause before another try to attach, in milliseconds; each pause is twice the one before. */
const FIRST_RETRY_MS = 100;
const LONGEST_RETRY_MS = 30_000;

/** How an interface stands, for logs, metrics and `/readyz`. */
export interface InterfaceState {
  readonly ifindex: number;
  readonly name: string;
  readonly point: "endpoint" | "host";
  readonly attached: boolean;
  /** Tries that failed since the last one that worked. */
  readonly failures: number;
  /** Why the last try failed. */
  readonly error?: string;
}

/** One interface that is to be watched: its attachments, or when to try again. */
export class WatchedInterface {
  readonly ifindex: number;
  readonly role: Role;
  name: string;
  failures = 0;
  error: unknown;
  /** When to try again, on the caller's clock. */
  retryAt = 0;
  #attachments: TcAttachment[] = [];

  constructor(ifindex: number, name: string, role: Role) {
    this.ifindex = ifindex;
    this.name = name;
    this.role = role;
  }

  get attached(): boolean {
    return this.#attachments.length > 0;
  }

  /** Whether the kernel still has what was attached. False once the index belongs to another interface. */
  verify(): boolean {
    return this.attached && this.#attachments.every((attachment) => attachment.attached());
  }

  /** Tries to attach. Returns whether it worked; a failure is kept in `error` and sets the time of the next try. */
  attach(attacher: Attacher, now: number): boolean {
    this.detach();
    try {
      this.#attachments = attacher.attach(this.ifindex, this.role);
    } catch (error) {
      this.error = error;
      this.retryAt = now + Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(this.failures, 16));
      this.failures++;
      return false;
    }
    this.error = undefined;
    this.failures = 0;
    return true;
  }

  detach(): void {
    for (const attachment of this.#attachments) attachment[Symbol.dispose]();
    this.#attachments = [];
  }

  state(): InterfaceState {
    const { ifindex, name, attached, failures } = this;
    return {
      ...{ ifindex, name, point: this.role.point, attached, failures },
      ...this.error === undefined
        ? {}
        : { error: this.error instanceof Error ? this.error.message : String(this.error) },
    };
  }
}
