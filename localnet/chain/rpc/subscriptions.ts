/** Subscriptions over WebSocket: a client waits for a signature and is told once. */

import { z } from "zod";
import { RPC_CODE } from "../errors.ts";
import type { LocalChain } from "../local-chain.ts";
import { COMMITMENTS, type Commitment } from "../view.ts";
import { signature } from "./method.ts";

const call = z.object({
  jsonrpc: z.literal("2.0"),
  id: z.union([z.string(), z.number()]),
  method: z.string(),
  params: z.array(z.unknown()).default([]),
});
const options = z.object({ commitment: z.enum(COMMITMENTS).default("finalized") }).prefault({});
const subscribeParams = z.tuple([signature, options]);
const unsubscribeParams = z.tuple([z.number()]);

/** The most that one client waits for. */
const MAX_WAITING = 1_000;

interface Waiting {
  readonly signature: string;
  readonly commitment: Commitment;
}

/** The subscriptions of one socket. */
export class Subscriptions {
  readonly #chain: LocalChain;
  readonly #send: (message: object) => void;
  readonly #waiting = new Map<number, Waiting>();
  readonly #stop: () => void;
  #lastId = 0;

  constructor(chain: LocalChain, send: (message: object) => void) {
    this.#chain = chain;
    this.#send = send;
    this.#stop = chain.onChange(() => this.#tell());
  }

  close(): void {
    this.#stop();
    this.#waiting.clear();
  }

  /** Takes a message of the client. */
  take(text: string): void {
    let message: z.infer<typeof call>;
    try {
      message = call.parse(JSON.parse(text));
    } catch {
      this.#refuse(null, RPC_CODE.invalidRequest, "Invalid request");
      return;
    }
    const { id, method, params } = message;
    if (method === "signatureSubscribe") this.#subscribe(id, params);
    else if (method === "signatureUnsubscribe") this.#unsubscribe(id, params);
    else if (method === "ping") this.#answer(id, "pong");
    else this.#refuse(id, RPC_CODE.methodNotFound, "Method not found");
  }

  #subscribe(id: string | number, params: unknown[]): void {
    const parsed = subscribeParams.safeParse(params);
    if (!parsed.success) return this.#refuse(id, RPC_CODE.invalidParams, "Invalid params: a signature and options");
    if (this.#waiting.size >= MAX_WAITING) {
      return this.#refuse(id, RPC_CODE.invalidParams, `Invalid params: at most ${MAX_WAITING} subscriptions a socket`);
    }
    const [wanted, { commitment }] = parsed.data;
    this.#lastId += 1;
    this.#waiting.set(this.#lastId, { signature: wanted, commitment });
    this.#answer(id, this.#lastId);
    this.#tell();
  }

  #unsubscribe(id: string | number, params: unknown[]): void {
    const parsed = unsubscribeParams.safeParse(params);
    if (parsed.success && this.#waiting.delete(parsed.data[0])) return this.#answer(id, true);
    this.#refuse(id, RPC_CODE.invalidParams, "Invalid subscription id.");
  }

  /** Tells what has come far enough; who was told is told no more. */
  #tell(): void {
    const view = this.#chain.view();
    for (const [subscription, { signature, commitment }] of this.#waiting) {
      const landed = view.find(signature);
      if (landed === null || landed.slot > view.slot(commitment)) continue;
      this.#waiting.delete(subscription);
      const result = { context: { slot: view.slot(commitment) }, value: { err: landed.error } };
      this.#send({ jsonrpc: "2.0", method: "signatureNotification", params: { result, subscription } });
    }
  }

  #answer(id: string | number, result: unknown): void {
    this.#send({ jsonrpc: "2.0", result, id });
  }

  #refuse(id: string | number | null, code: number, message: string): void {
    this.#send({ jsonrpc: "2.0", error: { code, message }, id });
  }
}
