/** The processes of the local network: started in groups of their own, watched, and stopped in order. */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream, type WriteStream } from "node:fs";
import { readFile } from "node:fs/promises";

export interface Started {
  readonly name: string;
  readonly logFile: string;
  readonly child: ChildProcess;
  /** Resolves when the process has ended, however it did. */
  readonly ended: Promise<void>;
}

/**
 * Starts a process whose output goes to a file. It gets a group of its own, so that Ctrl-C reaches this process alone and
 * the others are stopped in order.
 */
export function start(
  name: string,
  args: readonly string[],
  options: { cwd: string; env: NodeJS.ProcessEnv; logFile: string },
): Started {
  const log: WriteStream = createWriteStream(options.logFile, { flags: "w", mode: 0o600 });
  const child = spawn(process.execPath, args, {
    cwd: options.cwd,
    env: options.env,
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  child.stdout.pipe(log, { end: false });
  child.stderr.pipe(log, { end: false });
  const ended = once(child, "close").then(() => {
    log.end();
  });
  return { name, logFile: options.logFile, child, ended };
}

/** Waits until `ready` answers with something; fails with the end of the log when the process ends before, or in time. */
export async function waitUntil<T>(part: Started, timeoutMs: number, ready: () => Promise<T | null>): Promise<T> {
  let over = false;
  void part.ended.then(() => {
    over = true;
  });
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const result = await ready().catch(() => null);
    if (result !== null) return result;
    if (over || Date.now() > deadline) {
      const what = over ? "ended by itself" : `was not ready within ${timeoutMs / 1_000} s`;
      throw new Error(`${part.name} ${what}. The end of ${part.logFile}:\n${await tail(part.logFile)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function tail(file: string): Promise<string> {
  const text = await readFile(file, "utf8").catch(() => "");
  return text.trimEnd().split("\n").slice(-15).join("\n");
}

/** Asks a process and its children to stop, and kills them if they have not after a while. */
export async function stop(started: Started, signal: NodeJS.Signals, patienceMs: number): Promise<void> {
  signalGroup(started, signal);
  const timer = setTimeout(() => signalGroup(started, "SIGKILL"), patienceMs);
  await started.ended;
  clearTimeout(timer);
}

export function signalGroup({ child }: Started, signal: NodeJS.Signals): void {
  if (child.pid === undefined || child.exitCode !== null) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // It has ended in the meantime.
  }
}
