/** Runs a program on packets in another thread, and so on another CPU: the file descriptor is the process's. */
import { BpfProgram } from "../../ffi/bpf_program.ts";

export interface RunRequest {
  readonly fd: number;
  readonly packet: Uint8Array;
  /** Test runs of `repeat` packets each. The worker says "running" before the first and "done" after the last. */
  readonly rounds: number;
  readonly repeat: number;
}

const scope = self as unknown as {
  onmessage: (event: MessageEvent<RunRequest>) => void;
  postMessage: (message: unknown) => void;
};

scope.onmessage = ({ data }) => {
  const program = new BpfProgram("other CPU", data.fd);
  scope.postMessage("running");
  for (let round = 0; round < data.rounds; round++) program.testRun({ data: data.packet, repeat: data.repeat });
  scope.postMessage("done");
};
