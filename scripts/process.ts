/**
 * Child processes for scripts and tests: every one is bounded in time, its output is kept, and its streams are drained,
 * so that no test leaks a resource and no failure is silent.
 */

/** What a finished process left. */
export interface Output {
  /** Exit code; 128 + signal number when a signal ended it. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  /** Text for standard input, which is closed after it. Default: no input. */
  readonly input?: string;
  /** Milliseconds after which the process is killed and the call fails. Default 30,000. */
  readonly timeoutMs?: number;
  readonly cwd?: string;
  readonly env?: Record<string, string>;
  /** Return instead of throwing when the exit code is not 0. */
  readonly allowFailure?: boolean;
}

/** A process that ended badly, was too slow, or could not be started. */
export class CommandError extends Error {
  override readonly name = "CommandError";
  constructor(readonly command: string, readonly problem: string, readonly output: Output) {
    const said = (output.stderr.trim() || output.stdout.trim()).slice(-4000);
    super(`Command ${problem}: ${command}${said ? `\n${said}` : ""}`);
  }
}

/** Runs a command to its end and returns what it printed; throws {@link CommandError} on failure or after the time limit. */
export async function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<Output> {
  const text = [command, ...args].join(" ");
  const timeoutMs = options.timeoutMs ?? 30_000;
  const child = spawn(command, args, options, options.input === undefined ? "null" : "piped");
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    kill(child, "SIGKILL");
  }, timeoutMs);
  try {
    const [output] = await Promise.all([
      child.output(),
      options.input === undefined ? undefined : feed(child, options.input),
    ]);
    const decoder = new TextDecoder();
    const result = { code: output.code, stdout: decoder.decode(output.stdout), stderr: decoder.decode(output.stderr) };
    if (late) throw new CommandError(text, `took longer than ${timeoutMs} ms`, result);
    if (result.code !== 0 && !options.allowFailure) {
      throw new CommandError(text, `exited with code ${result.code}`, result);
    }
    return result;
  } finally {
    clearTimeout(timer);
  }
}

/** A process that goes on running beside the caller. Disposing stops it. */
export interface Running extends AsyncDisposable {
  readonly pid: number;
  /** Lines of standard output so far, complete ones only. */
  readonly lines: readonly string[];
  /** Standard error so far. */
  stderr(): string;
  /** The first line of standard output, from line number `from` on, that satisfies the test. Throws when none came in time or the process ended. */
  waitForLine(test: (line: string) => boolean, options?: { timeoutMs?: number; from?: number }): Promise<string>;
  /** Closes standard input, by which our own tools are told to finish. */
  closeInput(): Promise<void>;
  /** Ends the process (default SIGTERM, SIGKILL after `graceMs`, default 5,000) and returns what it left. */
  stop(options?: { signal?: Deno.Signal; graceMs?: number }): Promise<Output>;
  /** Settles when the process has ended by itself or was stopped. */
  readonly ended: Promise<Output>;
}

export interface StartOptions {
  readonly cwd?: string;
  readonly env?: Record<string, string>;
  /** Called with every complete line of standard output as it comes. */
  readonly onLine?: (line: string) => void;
}

/** Starts a command. Its standard input is a pipe that closes with {@link Running.stop} or with the caller's death. */
export function start(command: string, args: readonly string[], options: StartOptions = {}): Running {
  const text = [command, ...args].join(" ");
  const child = spawn(command, args, options, "piped");
  const lines: string[] = [];
  const waiters = new Set<() => void>();
  let errors = "";
  const wake = () => [...waiters].forEach((waiter) => waiter());
  const reading = eachLine(child.stdout, (line) => {
    lines.push(line);
    options.onLine?.(line);
    wake();
  });
  const readingErrors = eachChunk(child.stderr, (chunk) => errors += chunk);
  const closeInput = () => child.stdin.close().catch(() => {}); // closed already, or the process has ended
  let done = false;
  const ended = (async () => {
    const [status] = await Promise.all([child.status, reading, readingErrors]);
    done = true;
    await closeInput();
    wake();
    return { code: status.code, stdout: lines.join("\n"), stderr: errors };
  })();

  const waitForLine: Running["waitForLine"] = (test, { timeoutMs = 10_000, from = 0 } = {}) =>
    new Promise((resolve, reject) => {
      let next = from;
      const finish = (act: () => void) => {
        waiters.delete(look);
        clearTimeout(timer);
        act();
      };
      const fail = (problem: string) =>
        finish(() => reject(new CommandError(text, problem, { code: -1, stdout: lines.join("\n"), stderr: errors })));
      const look = () => {
        for (; next < lines.length; next++) {
          if (test(lines[next])) {
            const line = lines[next];
            return finish(() => resolve(line));
          }
        }
        if (done) fail("ended before the expected line");
      };
      const timer = setTimeout(() => fail(`did not print the expected line within ${timeoutMs} ms`), timeoutMs);
      waiters.add(look);
      look();
    });

  const stop: Running["stop"] = async ({ signal = "SIGTERM", graceMs = 5000 } = {}) => {
    kill(child, signal);
    const timer = setTimeout(() => kill(child, "SIGKILL"), graceMs);
    try {
      return await ended;
    } finally {
      clearTimeout(timer);
    }
  };

  return {
    pid: child.pid,
    lines,
    stderr: () => errors,
    waitForLine,
    closeInput,
    stop,
    ended,
    async [Symbol.asyncDispose]() {
      await stop();
    },
  };
}

/** Whether a program is found on PATH; returns its path. */
export function which(program: string, path = Deno.env.get("PATH") ?? ""): string | undefined {
  // /usr/sbin and /sbin: a root shell opened with `su` on Debian lacks them, and ip and bpftool live there.
  if (program.includes("/")) return program;
  for (const folder of [...path.split(":"), "/usr/sbin", "/sbin"]) {
    const file = `${folder}/${program}`;
    try {
      const info = Deno.statSync(file);
      if (info.isFile && ((info.mode ?? 0) & 0o111) !== 0) return file;
    } catch { /* not here */ }
  }
  return undefined;
}

function spawn(
  command: string,
  args: readonly string[],
  options: { cwd?: string; env?: Record<string, string> },
  stdin: "null" | "piped",
): Deno.ChildProcess {
  return new Deno.Command(which(command) ?? command, {
    args: [...args],
    stdin,
    stdout: "piped",
    stderr: "piped",
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    env: { NO_COLOR: "1", ...options.env }, // what is captured is read by programs and put into error messages
  }).spawn();
}

function kill(child: Deno.ChildProcess, signal: Deno.Signal): void {
  try {
    child.kill(signal);
  } catch { /* it has ended already */ }
}

async function feed(child: Deno.ChildProcess, input: string): Promise<void> {
  const writer = child.stdin.getWriter();
  try {
    await writer.write(new TextEncoder().encode(input));
    await writer.close();
  } catch { /* the process ended without reading; its exit code tells more */ }
}

async function eachChunk(stream: ReadableStream<Uint8Array>, take: (text: string) => void): Promise<void> {
  const decoder = new TextDecoder();
  for await (const chunk of stream) take(decoder.decode(chunk, { stream: true }));
}

async function eachLine(stream: ReadableStream<Uint8Array>, take: (line: string) => void): Promise<void> {
  let rest = "";
  await eachChunk(stream, (chunk) => {
    const parts = (rest + chunk).split("\n");
    rest = parts.pop() ?? "";
    parts.forEach(take);
  });
  if (rest !== "") take(rest);
}
