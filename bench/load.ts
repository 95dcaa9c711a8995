/** The load generator's process: raw HTTP with connections kept open, so that it takes as little of the machine as it can. */

import { Agent, type IncomingMessage, request } from "node:http";
import { answerCalls } from "./processes/calls.ts";
import { cpuMicros, treeOf } from "./processes/usage.ts";

export interface LoadCall {
  readonly url: string;
  readonly method: "GET" | "POST";
  /** One set of headers for each client in turn. */
  readonly headers: readonly Record<string, string>[];
  readonly body: string;
  /** Whether the answer is server-sent events. */
  readonly stream: boolean;
  readonly clients: number;
  /** How long clients take to come one after the other, in milliseconds, so that paced streams do not march in step. */
  readonly spreadMs: number;
  /** Runs for this long after a warm-up … */
  readonly seconds: number;
  readonly warmUpSeconds: number;
  /** … or, when given, until each client has had so many answers; then there is no warm-up. */
  readonly jobsEach?: number;
  /** The process whose tree serves. */
  readonly pid: number | null;
}

export interface LoadResult {
  readonly jobs: number;
  readonly seconds: number;
  readonly errors: number;
  /** What went wrong first. */
  readonly error: string | null;
  /** Milliseconds until the first byte of the body, for each job. */
  readonly firstMs: readonly number[];
  /** Milliseconds until the end, for each job. */
  readonly totalMs: readonly number[];
  /** Of the process tree, while these jobs ran. */
  readonly cpuMicros: number | null;
}

class Run {
  readonly #call: LoadCall;
  readonly #agent: Agent;
  #stopped = false;
  #jobs = 0;
  #errors = 0;
  #error: string | null = null;
  #firstMs: number[] = [];
  #totalMs: number[] = [];

  constructor(call: LoadCall) {
    this.#call = call;
    this.#agent = new Agent({ keepAlive: true, maxSockets: call.clients, noDelay: true });
  }

  async result(): Promise<LoadResult> {
    const { clients, jobsEach, seconds, warmUpSeconds, pid } = this.#call;
    const tree = pid === null ? [] : treeOf(pid);
    let cpu = cpuMicros(tree);
    let start = performance.now();
    const all = Promise.all(Array.from({ length: clients }, (_, client) => this.#client(client)));
    if (jobsEach === undefined) {
      await pause(warmUpSeconds * 1_000);
      [this.#jobs, this.#errors, this.#firstMs, this.#totalMs] = [0, 0, [], []];
      cpu = cpuMicros(tree);
      start = performance.now();
      await pause(seconds * 1_000);
    } else await all;
    const end = performance.now();
    const cpuEnd = cpuMicros(tree);
    const result = {
      jobs: this.#jobs,
      seconds: (end - start) / 1_000,
      errors: this.#errors,
      error: this.#error,
      firstMs: [...this.#firstMs],
      totalMs: [...this.#totalMs],
      cpuMicros: cpu === null || cpuEnd === null ? null : cpuEnd - cpu,
    };
    this.#stopped = true;
    await all;
    this.#agent.destroy();
    return result;
  }

  async #client(client: number): Promise<void> {
    const { clients, spreadMs, jobsEach = Number.POSITIVE_INFINITY } = this.#call;
    if (spreadMs > 0) await pause((client * spreadMs) / clients);
    for (let job = 0; job < jobsEach && !this.#stopped; job++) await this.#one(client);
  }

  #one(client: number): Promise<void> {
    const { url, method, headers, body, stream } = this.#call;
    return new Promise((resolve) => {
      const start = performance.now();
      let first = 0;
      let last = "";
      const done = (error: string | null): void => {
        if (error === null) {
          this.#jobs += 1;
          this.#firstMs.push(first);
          this.#totalMs.push(performance.now() - start);
        } else {
          this.#errors += 1;
          this.#error ??= error;
        }
        resolve();
      };
      const outgoing = request(
        url,
        { method, agent: this.#agent, headers: { ...headers[client % headers.length], ...lengthOf(body) } },
        (response: IncomingMessage) => {
          response.on("data", (data: Buffer) => {
            if (first === 0) first = performance.now() - start;
            // The end of a stream may be cut anywhere, so that what came before is kept too.
            last = last.slice(-300) + data.toString("latin1", Math.max(0, data.length - 300));
          });
          response.on("error", (error) => done(error.message));
          response.on("end", () => done(fault(response.statusCode, last, stream)));
        },
      );
      outgoing.on("error", (error) => done(error.message));
      outgoing.end(body);
    });
  }
}

function fault(status: number | undefined, last: string, stream: boolean): string | null {
  if (status !== 200) return `status ${status}: ${last}`;
  const whole = !stream || (last.trimEnd().endsWith("data: [DONE]") && !last.includes('"finish_reason":"error"'));
  return whole ? null : `the stream broke off: ${last}`;
}

function lengthOf(body: string): Record<string, string> {
  return body === "" ? {} : { "content-type": "application/json", "content-length": String(Buffer.byteLength(body)) };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

answerCalls({ run: (call: LoadCall) => new Run(call).result() });
