/** The consumers' process: so many streams at once, each asked for anew when it has ended. */

import { Agent } from "node:http";
import { setTimeout as pause } from "node:timers/promises";
import { type Random, seeded } from "../../core/random.ts";
import { bodyFor } from "../engine/answer.ts";
import { answerCalls } from "../processes/calls.ts";
import { MODEL } from "../servers/network.ts";
import { ask, type Seen } from "./ask.ts";
import { conductOf, planFor } from "./conduct.ts";

export interface ClientsCall {
  readonly url: string;
  readonly apiKeys: readonly string[];
  readonly streams: number;
  /** No more jobs than this are begun, however long it takes. */
  readonly most: number;
  readonly seed: number;
}

/** How calls ended so far. */
export interface ClientCounts {
  readonly open: number;
  readonly begun: number;
  readonly whole: number;
  readonly leftBeforeToken: number;
  readonly leftAfterToken: number;
  readonly givenUp: number;
  /** By the error's code. */
  readonly failed: Readonly<Record<string, number>>;
  /** Reasons of what no rule foresees. */
  readonly broken: readonly string[];
}

/** A call whose consumer knows its job. */
export interface SeenJob {
  readonly account: number;
  readonly seen: Seen;
}

/** The time in which the streams of a full load begin, so that they do not march in step. */
const SPREAD_MS = 5_000;
/** After an error a client waits, as clients do. */
const AFTER_ERROR_MS = 500;

class Clients {
  readonly #call: ClientsCall;
  readonly #agent: Agent;
  readonly #random: Random;
  readonly #streams: Promise<unknown>;
  readonly #seen: SeenJob[] = [];
  readonly #broken: string[] = [];
  readonly #failed: Record<string, number> = {};
  readonly #counts = { open: 0, begun: 0, whole: 0, leftBeforeToken: 0, leftAfterToken: 0, givenUp: 0 };
  #finishing = false;

  constructor(call: ClientsCall) {
    this.#call = call;
    // A connection for each call: one that is kept open may be closed by the server in the moment it is used again.
    this.#agent = new Agent({ keepAlive: false, noDelay: true });
    this.#random = seeded(call.seed);
    this.#streams = Promise.all(Array.from({ length: call.streams }, (_, stream) => this.#stream(stream)));
  }

  counts(): ClientCounts {
    return { ...this.#counts, failed: this.#failed, broken: this.#broken.slice(0, 20) };
  }

  /** Begins nothing more; resolves when all calls have ended, with what was seen of each job since the last time. */
  async finish(): Promise<SeenJob[]> {
    this.#finishing = true;
    await this.#streams;
    this.#agent.destroy();
    return this.#seen;
  }

  async #stream(stream: number): Promise<void> {
    const { apiKeys, streams, most } = this.#call;
    await pause((stream * SPREAD_MS) / streams);
    while (!this.#finishing && this.#counts.begun < most) {
      const account = stream % apiKeys.length;
      this.#counts.begun += 1;
      this.#counts.open += 1;
      const seen = await this.#ask(apiKeys[account] ?? "");
      this.#counts.open -= 1;
      this.#count(seen);
      this.#seen.push({ account, seen });
      if (seen.type === "failed" || seen.type === "broken") await pause(AFTER_ERROR_MS);
    }
  }

  #ask(apiKey: string): Promise<Seen> {
    const conduct = conductOf(this.#random);
    const request = JSON.parse(bodyFor(MODEL, planFor(conduct), true)) as object;
    const body = JSON.stringify({ ...request, stream_options: { include_usage: true } });
    return ask({ url: this.#call.url, apiKey, body, conduct, agent: this.#agent });
  }

  #count(seen: Seen): void {
    switch (seen.type) {
      case "whole":
        this.#counts.whole += 1;
        break;
      case "left":
        this.#counts[seen.firstToken ? "leftAfterToken" : "leftBeforeToken"] += 1;
        break;
      case "given_up":
        this.#counts.givenUp += 1;
        break;
      case "failed":
        this.#failed[seen.code] = (this.#failed[seen.code] ?? 0) + 1;
        break;
      case "broken":
        this.#broken.push(seen.reason);
        break;
    }
  }
}

let clients: Clients | null = null;

answerCalls({
  start: (call: ClientsCall) => {
    clients = new Clients(call);
  },
  counts: () => clients?.counts(),
  finish: () => clients?.finish(),
});
