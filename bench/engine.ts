/** The mock engine's process: one engine, behind a daemon for Tollmill and behind HTTP for everybody else. */

import { MockDaemon } from "./engine/daemon.ts";
import { startHttpEngine } from "./engine/http.ts";
import { answerCalls } from "./processes/calls.ts";

const http = await startHttpEngine();
const daemons = new Map<string, MockDaemon>();

function daemonOf(seed: string): MockDaemon {
  const daemon = daemons.get(seed) ?? new MockDaemon(seed);
  daemons.set(seed, daemon);
  return daemon;
}

export interface ConnectCall {
  readonly seed: string;
  readonly origin: string;
  readonly model: string;
  readonly slots: number;
}

answerCalls({
  origin: () => http.origin,
  daemon: (seed: string) => daemonOf(seed).id,
  connect: ({ seed, origin, model, slots }: ConnectCall) => daemonOf(seed).connect(origin, model, slots),
  traffic: (seed: string) => daemonOf(seed).traffic(),
  disconnect: (seed: string) => {
    daemonOf(seed).close();
    daemons.delete(seed);
  },
});
