/** The benchmark's own processes: the main one forks them and calls them over Node's message channel. */

import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";

interface Call {
  readonly id: number;
  readonly name: string;
  readonly argument: unknown;
}
type Reply = { readonly id: number } & ({ readonly value: unknown } | { readonly error: string });

/** A child process that answers calls. Its output goes to a place of its own, so that the report stays readable. */
export class Child {
  readonly pid: number;
  readonly #process: ChildProcess;
  readonly #waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  #next = 0;
  #output = "";

  /** `script` is a file of bench/. */
  constructor(script: string, env: Record<string, string> = {}) {
    const path = fileURLToPath(new URL(`../${script}`, import.meta.url));
    this.#process = fork(path, [], { stdio: ["ignore", "pipe", "pipe", "ipc"], env: { ...process.env, ...env } });
    this.pid = this.#process.pid ?? 0;
    for (const stream of [this.#process.stdout, this.#process.stderr]) {
      stream?.on("data", (data: Buffer) => (this.#output = (this.#output + data.toString()).slice(-4_000)));
    }
    this.#process.on("message", (reply: Reply) => {
      const call = this.#waiting.get(reply.id);
      this.#waiting.delete(reply.id);
      if ("error" in reply) call?.reject(new Error(`${script}: ${reply.error}`));
      else call?.resolve(reply.value);
    });
    this.#process.on("exit", (code) => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`${script} ended (${code}): ${this.#output}`));
      this.#waiting.clear();
    });
  }

  /** The last of what the process printed. */
  get output(): string {
    return this.#output;
  }

  call<T>(name: string, argument: unknown = null): Promise<T> {
    const id = this.#next++;
    return new Promise<T>((resolve, reject) => {
      this.#waiting.set(id, { resolve: (value) => resolve(value as T), reject });
      this.#process.send({ id, name, argument } satisfies Call);
    });
  }

  /** Ends the process, after what it does on "stop". */
  async stop(): Promise<void> {
    const ended = new Promise((resolve) => this.#process.once("exit", resolve));
    if (this.#process.exitCode !== null) return;
    await Promise.race([this.call("stop").catch(() => {}), new Promise((resolve) => setTimeout(resolve, 5_000))]);
    this.#process.kill();
    await ended;
  }
}

/** The other end: answers calls by name, until the parent goes away. */
export function answerCalls(handlers: Record<string, (argument: never) => unknown>): void {
  process.on("disconnect", () => process.exit());
  process.on("message", ({ id, name, argument }: Call) => {
    const handler = handlers[name] ?? (() => null);
    Promise.resolve()
      .then(() => handler(argument as never))
      .then((value) => process.send?.({ id, value: value ?? null } satisfies Reply))
      .catch((error: unknown) => {
        process.send?.({ id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
      });
  });
}
