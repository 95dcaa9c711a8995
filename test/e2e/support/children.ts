/** Processes that tests start: whatever happens, none outlives its file. */

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { testSecrets } from "../../secrets.ts";
import { ROOT } from "./server.ts";

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

const children = new Set<ChildProcess>();
const folders = new Set<string>();

process.once("exit", () => {
  for (const child of children) kill(child);
});

/** Kills a process and whatever it has started, groups of their own included. */
function kill(child: ChildProcess): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  for (const pid of [child.pid, ...descendantsOf(child.pid)]) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It has ended in the meantime.
    }
  }
}

/** The ids of the processes that a process has started, and that those have started. */
export function descendantsOf(root: number | undefined): number[] {
  const pairs = processes();
  const found = root === undefined ? [] : [root];
  // A child is looked for among the parents found so far, however the list is ordered.
  for (const parent of found) for (const [pid, of] of pairs) if (of === parent && pid !== undefined) found.push(pid);
  return found.slice(1);
}

/** Every process with its parent. Small Linux machines have no ps, and others have no /proc. */
function processes(): [pid: number, parent: number][] {
  if (!existsSync("/proc/self/stat")) {
    const lines = execFileSync("ps", ["-A", "-o", "pid=,ppid="], { encoding: "utf8" }).trim().split("\n");
    return lines.map((line) => line.trim().split(/\s+/).map(Number) as [number, number]);
  }
  const ids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return ids.flatMap((id) => {
    try {
      // The name stands in brackets and may hold anything; the state and the parent come after it.
      const [, parent] = readFileSync(`/proc/${id}/stat`, "utf8")
        .replace(/^.*\) /s, "")
        .split(" ");
      return [[Number(id), Number(parent)] as [number, number]];
    } catch {
      return [];
    }
  });
}

/** For `afterAll`: ends every process and removes every folder that this file made. */
export async function cleanUp(): Promise<void> {
  for (const child of children) kill(child);
  await Promise.all([...folders].map((folder) => rm(folder, { recursive: true, force: true, maxRetries: 5 })));
  folders.clear();
}

export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "tollmill-e2e-"));
  folders.add(folder);
  return folder;
}

/** The environment of a user: without what the test run itself has put there, and without colours. */
export function userEnvironment(changes: Record<string, string> = {}): NodeJS.ProcessEnv {
  const hidden = new Set([...Object.keys(testSecrets), "VITEST", "NODE_ENV", "TOLLMILL_API_KEY", "TOLLMILL_URL"]);
  const kept = Object.entries(process.env).filter(([name]) => !hidden.has(name) && !name.startsWith("VITEST_"));
  return { ...Object.fromEntries(kept), NO_COLOR: "1", ...changes };
}

/** A Node process of the project, its output line by line. */
export class NodeProcess {
  readonly child: ChildProcess;
  readonly exited: Promise<Exit>;
  stdout = "";
  stderr = "";
  #changed = Promise.withResolvers<void>();

  /** `through` is a program that becomes the process, and what it is given before it. */
  constructor(
    args: readonly string[],
    options: { cwd?: string; env?: Record<string, string>; through?: readonly string[] } = {},
  ) {
    const { cwd = ROOT, env = {}, through = [] } = options;
    const [program = process.execPath, ...rest] = [...through, process.execPath, ...args];
    this.child = spawn(program, rest, { cwd, env: userEnvironment(env), stdio: ["ignore", "pipe", "pipe"] });
    children.add(this.child);
    this.child.stdout?.setEncoding("utf8").on("data", (text: string) => this.#grow(() => (this.stdout += text)));
    this.child.stderr?.setEncoding("utf8").on("data", (text: string) => this.#grow(() => (this.stderr += text)));
    this.exited = new Promise((resolve) => {
      this.child.once("close", (code, signal) => {
        children.delete(this.child);
        resolve({ code, signal });
        this.#grow(() => {});
      });
    });
  }

  #grow(change: () => void): void {
    change();
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  get hasEnded(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  signal(name: NodeJS.Signals): void {
    this.child.kill(name);
  }

  /** What `find` finds in the output, now or later. Fails with the output when the process ends without it. */
  async waitFor<T>(what: string, find: () => T | undefined, timeoutMs = 30_000): Promise<T> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const ended = this.hasEnded;
      const changed = this.#changed.promise;
      const found = find();
      if (found !== undefined) return found;
      if (ended || Date.now() > deadline) {
        throw new Error(`${ended ? "ended" : "went on"} without ${what}:\n${this.stdout}\n${this.stderr}`);
      }
      await Promise.race([changed, new Promise((resolve) => setTimeout(resolve, 200))]);
    }
  }
}
