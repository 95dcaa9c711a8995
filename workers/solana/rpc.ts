/** Solana's JSON-RPC over HTTP: many calls in one request, a few requests at a time, and again what another time may answer. */

import { backOff } from "exponential-backoff";
import type { z } from "zod";
import { LIMITS } from "../../core/limits.ts";
import { batchAnswer } from "../../protocol/solana/answers.ts";

/** One call, and the form of its answer. */
export interface RpcCall<T> {
  readonly method: string;
  readonly params: readonly unknown[];
  readonly answer: z.ZodType<T>;
}

/** What a node did not answer. The message names no address of a node, which may hold a key. */
export class RpcFailure extends Error {
  override readonly name = "RpcFailure";
  /** Whether the same call may succeed at another time, or at another node behind the same address. */
  readonly isRetryable: boolean;

  constructor(message: string, isRetryable: boolean) {
    super(message);
    this.isRetryable = isRetryable;
  }
}

/** Errors of a call that a node gives because it is behind or has too much to do. */
const RETRYABLE_CODES: ReadonlySet<number> = new Set([
  // Block not available yet, node unhealthy, slot not rooted yet, minContextSlot not reached, internal error.
  -32_004, -32_005, -32_014, -32_016, -32_603,
]);
const TOO_MANY_REQUESTS = 429;
const SERVER_ERROR = 500;

export class SolanaRpc {
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
  }

  /** Answers one call. Throws a {@link RpcFailure}. */
  async one<T>(call: RpcCall<T>): Promise<T> {
    const [answer] = await this.all([call]);
    return answer as T;
  }

  /** Answers calls in their order, all or none. Throws a {@link RpcFailure}. */
  async all<T>(calls: readonly RpcCall<T>[]): Promise<T[]> {
    const batches: (readonly RpcCall<T>[])[] = [];
    for (let start = 0; start < calls.length; start += LIMITS.rpcBatchCalls) {
      batches.push(calls.slice(start, start + LIMITS.rpcBatchCalls));
    }
    const answers: T[][] = [];
    let next = 0;
    const connection = async (): Promise<void> => {
      for (let index = next++; index < batches.length; index = next++) {
        try {
          answers[index] = await this.#retrying(batches[index] ?? []);
        } catch (error) {
          // Nobody asks for the rest of what has failed.
          next = batches.length;
          throw error;
        }
      }
    };
    await Promise.all(Array.from({ length: LIMITS.rpcConnections }, connection));
    return answers.flat();
  }

  async #retrying<T>(calls: readonly RpcCall<T>[]): Promise<T[]> {
    return await backOff(() => this.#send(calls), {
      numOfAttempts: LIMITS.rpcAttempts,
      startingDelay: LIMITS.rpcRetryMs,
      jitter: "full",
      retry: (error: unknown) => error instanceof RpcFailure && error.isRetryable,
    });
  }

  async #send<T>(calls: readonly RpcCall<T>[]): Promise<T[]> {
    const body = calls.map(({ method, params }, id) => ({ jsonrpc: "2.0", id, method, params }));
    const answers = new Map(readBatch(await this.#post(JSON.stringify(body))).map((answer) => [answer.id, answer]));
    return calls.map(({ method, answer: form }, id) => {
      const answer = answers.get(id);
      if (answer === undefined) throw new RpcFailure(`${method} was not answered`, true);
      if (answer.error !== undefined) {
        const { code, message } = answer.error;
        throw new RpcFailure(`${method}: ${code} ${message}`, RETRYABLE_CODES.has(code));
      }
      const parsed = form.safeParse(answer.result);
      if (parsed.success) return parsed.data;
      const [issue] = parsed.error.issues;
      throw new RpcFailure(`${method}: ${issue?.path.join(".")}: ${issue?.message}`, false);
    });
  }

  async #post(body: string): Promise<unknown> {
    let response: Response;
    let text: string;
    try {
      const headers = { "content-type": "application/json" };
      const signal = AbortSignal.timeout(LIMITS.rpcTimeoutMs);
      response = await fetch(this.#url, { method: "POST", headers, body, signal });
      text = await response.text();
    } catch (error) {
      throw new RpcFailure(`the node did not answer: ${error instanceof Error ? error.name : "unknown"}`, true);
    }
    const { status } = response;
    if (!response.ok) {
      throw new RpcFailure(`the node answered ${status}`, status === TOO_MANY_REQUESTS || status >= SERVER_ERROR);
    }
    try {
      return JSON.parse(text);
    } catch {
      throw new RpcFailure("the node's answer is no JSON", true);
    }
  }
}

function readBatch(value: unknown): z.infer<typeof batchAnswer> {
  const parsed = batchAnswer.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new RpcFailure("the node does not answer calls in batches", false);
}
