/** The systems under test, each in processes of its own, all in front of one mock engine. */

import { bodyFor, textOf } from "../engine/answer.ts";
import type { LoadCall } from "../load.ts";
import { Child } from "../processes/calls.ts";
import type { ServeCall } from "../serve.ts";
import { bundleCounted, bundleWorker, HELLO, PROXY } from "../servers/bundle.ts";
import { type Consumer, MODEL, Network } from "../servers/network.ts";
import { installPortkey, type Portkey, portkeyHeaders, startPortkey } from "../servers/portkey.ts";
import type { Scenario, System } from "./scenarios.ts";

/** Where a system is called. */
interface Endpoint {
  readonly url: string;
  readonly headers: readonly Record<string, string>[];
  /** Those of the large account, where the system has one. */
  readonly sliced?: Record<string, string>;
  readonly pid: number | null;
}

const CHAT = "/v1/chat/completions";

export class Systems {
  readonly engine = new Child("engine.ts");
  readonly load = new Child("load.ts");
  /** Systems that could not be started, with the reason. */
  readonly missing = new Map<System, string>();
  readonly endpoints = new Map<System, Endpoint>();
  readonly #folder: string;
  readonly #children: Child[] = [];
  #portkey: Portkey | null = null;
  #engineOrigin = "";
  plain: Network | null = null;
  counted: Network | null = null;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Starts systems. One that cannot be had is left out and named in {@link missing}; the others go on. */
  async start(systems: ReadonlySet<System>): Promise<void> {
    this.#engineOrigin = await this.engine.call<string>("origin");
    const starts: Record<System, () => Promise<Endpoint>> = {
      engine: async () => ({ url: this.#engineOrigin + CHAT, headers: [{}], pid: null }),
      hello: async () => await this.#worker("hello", HELLO, {}),
      proxy: async () => await this.#worker("proxy", PROXY, { UPSTREAM: this.#engineOrigin }),
      portkey: () => this.#startPortkey(),
      tollmill: async () => {
        this.plain = await Network.start(await bundleWorker(this.#folder), this.#folder, "tollmill", this.engine);
        return chatOf(this.plain);
      },
      account: async () => {
        this.counted = await Network.start(await bundleCounted(this.#folder), this.#folder, "counted", this.engine);
        const { origin, consumers, large, server } = this.counted;
        const headersOf = ({ account, secretHash }: Consumer) => ({
          "x-account": account,
          "x-secret-hash": secretHash,
        });
        const sliced = { ...headersOf(large), "x-slices": "yes" };
        return { url: `${origin}/bench/hold-post`, headers: consumers.map(headersOf), sliced, pid: server.pid };
      },
    };
    for (const system of systems) {
      try {
        this.endpoints.set(system, await starts[system]());
      } catch (error) {
        this.missing.set(system, error instanceof Error ? error.message : String(error));
      }
    }
  }

  async stop(): Promise<void> {
    this.#portkey?.process.kill();
    const networks = [this.plain, this.counted].flatMap((network) => (network === null ? [] : [network.server]));
    await Promise.all([...this.#children, ...networks, this.engine, this.load].map((child) => child.stop()));
  }

  /** What the load generator needs to run a scenario; null where its system is missing. */
  loadFor(scenario: Scenario): Omit<LoadCall, "seconds" | "warmUpSeconds"> | null {
    const endpoint = this.endpoints.get(scenario.system);
    if (endpoint === undefined) return null;
    const { plan, stream, clients, accounts } = scenario;
    const { url, pid, sliced } = endpoint;
    const headers = scenario.sliced && sliced !== undefined ? [sliced] : endpoint.headers.slice(0, accounts);
    const length = plan.natural ? 5_000 : (plan.tokens / plan.piece) * plan.every;
    const body = bodyFor(MODEL, plan, stream);
    return { url, pid, headers, method: "POST", body, stream, clients, spreadMs: length };
  }

  /** Throws unless a system answers a scenario with the engine's very text. */
  async check(scenario: Scenario): Promise<void> {
    const call = this.loadFor(scenario);
    if (call === null || scenario.system === "hello" || scenario.system === "account") return;
    const headers = { ...call.headers[0], "content-type": "application/json" };
    const text = await (await fetch(call.url, { method: "POST", headers, body: call.body })).text();
    const answer = scenario.stream ? streamedText(text) : wholeText(text);
    if (answer !== textOf(scenario.plan))
      throw new Error(`${scenario.name} answers something else: ${text.slice(0, 500)}`);
  }

  async #worker(name: string, script: string, bindings: Record<string, string>): Promise<Endpoint> {
    const child = new Child("serve.ts");
    this.#children.push(child);
    const call: ServeCall = { script, folder: `${this.#folder}/${name}`, whole: false, bindings };
    const origin = await child.call<string>("serve", call);
    return { url: origin + CHAT, headers: [{ authorization: "Bearer sk-bench" }], pid: child.pid };
  }

  async #startPortkey(): Promise<Endpoint> {
    await installPortkey();
    this.#portkey = await startPortkey();
    const { origin, pid } = this.#portkey;
    return { url: origin + CHAT, headers: [portkeyHeaders(this.#engineOrigin)], pid };
  }
}

/** A network's chat route, called by all its consumers in turn. */
export function chatOf({ origin, consumers, server }: Network): Endpoint {
  const headers = consumers.map(({ apiKey }) => ({ authorization: `Bearer ${apiKey}` }));
  return { url: origin + CHAT, headers, pid: server.pid };
}

interface Chunk {
  readonly choices?: readonly { readonly delta?: { readonly content?: string } }[];
}

function streamedText(text: string): string {
  const events = text.split("\n\n").filter((event) => event.startsWith("data: {"));
  return events.map((event) => (JSON.parse(event.slice(6)) as Chunk).choices?.[0]?.delta?.content ?? "").join("");
}

function wholeText(text: string): string {
  const { choices } = JSON.parse(text) as { choices?: { message?: { content?: string } }[] };
  return choices?.[0]?.message?.content ?? "";
}
