/** A Tollmill network that is ready to serve the benchmark's model: catalog, accounts with credits, the mock daemon. */

import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { z } from "zod";
import { parseApiKey } from "../../protocol/api-key.ts";
import type { CatalogModel } from "../../protocol/catalog.ts";
import { status } from "../../protocol/network/status.ts";
import type { ConnectCall } from "../engine.ts";
import { Child } from "../processes/calls.ts";
import type { ServeCall } from "../serve.ts";

export const MODEL = "bench";
/** Consumers: so many that no account's own limits are what is measured. */
const ACCOUNTS = 32;
/** So much that no job ever fails for the money. */
const LARGE_GIFT: Gift = { id: "gift", kind: "topup", amount: "1000000" };
const GIFT: readonly Gift[] = [{ id: "gift", kind: "bonus", amount: "1000000000" }];
const SLOTS = 1_024;
const READY_MS = 10_000;

/** Priced like Qwen3-8B at q8. */
const CATALOG_MODEL: CatalogModel = {
  id: MODEL,
  name: "Benchmark",
  parameters_in_millions: 8_000,
  quantization: "q8",
  context_length: 8_192,
  completion_default: 1_024,
  completion_max: 4_096,
  rates: { completion_nano_usd_per_1k: 80_000, prompt_nano_usd_per_1k: 20_000 },
  prompt_bytes_per_token_hundredths: 100,
  prompt_tokens_per_message: 8,
  prompt_tokens_per_image: 1_024,
  min_bytes_per_token_hundredths: 50,
  lanes: ["public"],
  created: Date.UTC(2026, 10, 22),
};

const opened = z.object({ account: z.string(), api_key: z.string() });

/** What each consumer is credited: a bonus in credits, or a top-up in USD. */
export interface Gift {
  readonly id: string;
  readonly kind: "bonus" | "topup";
  readonly amount: string;
}

export type Status = z.infer<typeof status>;

export interface Consumer {
  readonly account: string;
  readonly apiKey: string;
  readonly secretHash: string;
}

export class Network {
  readonly server: Child;
  readonly origin: string;
  readonly consumers: readonly Consumer[];
  readonly provider: Consumer;
  /** An account with paid credits alone, which it can lend to slices. */
  readonly large: Consumer;
  readonly seeds: { readonly network: string; readonly daemon: string };

  private constructor(
    server: Child,
    origin: string,
    consumers: readonly Consumer[],
    provider: Consumer,
    large: Consumer,
    seeds: Network["seeds"],
  ) {
    this.server = server;
    this.origin = origin;
    this.consumers = consumers;
    this.provider = provider;
    this.large = large;
    this.seeds = seeds;
  }

  /** Starts a network whose Worker is `script`, with its state in a folder and the engine's daemon connected. */
  static async start(script: string, folder: string, name: string, engine: Child): Promise<Network> {
    const made = await Network.open({ script, folder: join(folder, name) }, { accounts: ACCOUNTS, gifts: GIFT });
    const { daemon: seed } = made.seeds;
    await made.enrol(await engine.call<string>("daemon", seed));
    await engine.call("connect", { seed, origin: made.origin, model: MODEL, slots: SLOTS } satisfies ConnectCall);
    await made.until(({ models }) => models.some((model) => model.id === MODEL && model.daemons > 0), READY_MS);
    return made;
  }

  /** Starts a network without any daemon, with so many consumers who get these gifts. */
  static async open(
    worker: Pick<ServeCall, "script" | "folder" | "inspected">,
    { accounts, gifts }: { readonly accounts: number; readonly gifts: readonly Gift[] },
  ): Promise<Network> {
    const [network, edge, daemon] = [secret(), secret(), secret()];
    const bindings = { NETWORK_SEED: network, EDGE_KEY: edge, ADMIN_KEY: `admin_${secret()}` };
    const server = new Child("serve.ts");
    const origin = await server.call<string>("serve", { ...worker, whole: true, bindings } satisfies ServeCall);
    const admin = (method: string, path: string, body: object) => send(origin, bindings.ADMIN_KEY, method, path, body);
    await admin("PUT", `/admin/models/${MODEL}`, CATALOG_MODEL);
    const open = async (id: string): Promise<Consumer> => {
      const { account, api_key: apiKey } = opened.parse(await admin("POST", "/admin/accounts", { id, name: id }));
      const secretHash = parseApiKey(apiKey, Buffer.from(edge, "hex"))?.secretHash ?? "";
      return { account, apiKey, secretHash };
    };
    const consumers: Consumer[] = [];
    for (let i = 0; i < accounts; i++) {
      const consumer = await open(`consumer-${i}`);
      for (const gift of gifts) await admin("POST", `/admin/accounts/${consumer.account}/credits`, gift);
      consumers.push(consumer);
    }
    const large = await open("large");
    await admin("POST", `/admin/accounts/${large.account}/credits`, LARGE_GIFT);
    return new Network(server, origin, consumers, await open("provider"), large, { network, daemon });
  }

  /** Enrols a daemon for the provider. */
  async enrol(daemon: string): Promise<void> {
    const enrolment = { public_key: daemon, name: "bench", payout: "credits", tier: "desktop" };
    await send(this.origin, this.provider.apiKey, "POST", "/daemons", enrolment);
  }

  async status(): Promise<Status> {
    return status.parse(await (await fetch(`${this.origin}/api/v1/status`)).json());
  }

  /** Waits until the status says so. Throws when it does not in time. */
  async until(isSo: (status: Status) => boolean, withinMs: number): Promise<void> {
    const deadline = performance.now() + withinMs;
    while (!isSo(await this.status())) {
      if (performance.now() > deadline) throw new Error(`the network is not ready after ${withinMs} ms`);
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  }
}

async function send(origin: string, key: string, method: string, path: string, body: object): Promise<unknown> {
  const response = await fetch(`${origin}/api/v1${path}`, {
    method,
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${await response.text()}`);
  return await response.json();
}

function secret(): string {
  return randomBytes(32).toString("hex");
}
