/** A whole network inside workerd: accounts, a model, scripted daemons, and the calls that users make. */

import { env, exports } from "cloudflare:workers";
import type { AccountId } from "../../../core/ids.ts";
import { putModel } from "../../../db/catalog.ts";
import { enrolDaemon } from "../../../db/daemons.ts";
import type { CatalogModel } from "../../../protocol/catalog.ts";
import { SUBPROTOCOL } from "../../../protocol/daemon/messages.ts";
import { testSecrets } from "../../secrets.ts";
import { testModel } from "../../support/models.ts";
import { answering, daemonKey, offerOf, ScriptedDaemon, type ScriptedJob } from "../../support/scripted-daemon.ts";

const ORIGIN = "https://tollmill.test";

export interface TestAccount {
  readonly account: AccountId;
  readonly apiKey: string;
}

let opened = 0;

export function call(path: string, init: RequestInit = {}): Promise<Response> {
  return exports.default.fetch(`${ORIGIN}${path}`, init);
}

export function withKey(apiKey: string, headers: Record<string, string> = {}): { headers: Record<string, string> } {
  return { headers: { authorization: `Bearer ${apiKey}`, ...headers } };
}

function asAdmin(body: unknown): RequestInit {
  return {
    method: "POST",
    body: JSON.stringify(body),
    ...withKey(testSecrets.ADMIN_KEY, { "content-type": "application/json" }),
  };
}

/** Opens an account. With `starter` it has 1,200 credits. */
export async function openAccount(starter = true): Promise<TestAccount> {
  const response = await call("/api/v1/admin/accounts", asAdmin({ name: "test", starter, id: `test-${opened++}` }));
  if (!response.ok) throw new Error(`cannot open an account: ${await response.text()}`);
  const { account, api_key: apiKey } = await response.json<{ account: AccountId; api_key: string }>();
  return { account, apiKey };
}

/** Credits an account: a bonus in credits, or a top-up in USD. */
export async function credit(account: TestAccount, kind: "bonus" | "topup", amount: string, id: string): Promise<void> {
  const response = await call(`/api/v1/admin/accounts/${account.account}/credits`, asAdmin({ id, kind, amount }));
  if (!response.ok) throw new Error(`cannot credit: ${await response.text()}`);
}

export async function addModel(changes: Partial<CatalogModel> = {}): Promise<CatalogModel> {
  const model = testModel(changes);
  await putModel(env.DB, model);
  return model;
}

/** A daemon that is enrolled and connected, and that its model's pool knows. */
export async function addDaemon(
  owner: TestAccount,
  options: {
    number?: number;
    model?: string;
    onJob?: (job: ScriptedJob) => void | Promise<void>;
    offer?: Parameters<typeof offerOf>[1];
  } = {},
): Promise<ScriptedDaemon> {
  const { number = 1, model = "test-model", onJob = answering(["Hello", " there"]), offer = {} } = options;
  const key = daemonKey(number);
  await enrolDaemon(env.DB, {
    id: key.id,
    account: owner.account,
    name: `daemon-${number}`,
    payout: "credits",
    tier: "desktop",
    created_at: Date.now(),
  });
  const daemon = await connect(number, onJob);
  await daemon.join(offerOf(model, offer));
  await until(async () => (await connected()).includes(key.id) && (await supply(model)).daemons > 0);
  return daemon;
}

/** A socket to the relay, before anything was said. */
export async function connect(
  number: number,
  onJob: (job: ScriptedJob) => void | Promise<void> = () => {},
): Promise<ScriptedDaemon> {
  const key = daemonKey(number);
  const response = await call(`/api/v1/connect?daemon=${key.id}`, {
    headers: { upgrade: "websocket", "sec-websocket-protocol": SUBPROTOCOL },
  });
  const { webSocket } = response;
  if (webSocket === null) throw new Error(`no socket: ${response.status} ${await response.text()}`);
  webSocket.accept();
  return new ScriptedDaemon(key, webSocket as never, onJob);
}

async function connected(): Promise<string[]> {
  const relays = Array.from({ length: Number(env.RELAY_SHARDS) }, (_, shard) =>
    env.RELAY.getByName(`${env.TOLLMILL_REGION}/${shard}`).connected(),
  );
  return (await Promise.all(relays)).flat();
}

export async function supply(
  model: string,
): Promise<{ daemons: number; slots: number; free: number; waiting: number }> {
  return await env.SCHEDULER.getByName(`${env.TOLLMILL_REGION}/${model}`).supply();
}

/** A chat completion of the test model. */
export function chat(apiKey: string, body: object = {}, init: RequestInit = {}): Promise<Response> {
  const { headers } = withKey(apiKey, { "content-type": "application/json", ...(init.headers as object) });
  return call("/v1/chat/completions", {
    method: "POST",
    body: JSON.stringify({ model: "test-model", messages: [{ role: "user", content: "Hi" }], ...body }),
    ...init,
    headers,
  });
}

/** The balance in millicredits: available and held. */
export async function balance(apiKey: string): Promise<{ available: number; held: number }> {
  const response = await call("/api/v1/balance", withKey(apiKey));
  const { available, held } = await response.json<{ available: string; held: string }>();
  return { available: Math.round(Number(available) * 1_000), held: Math.round(Number(held) * 1_000) };
}

/** Waits until something holds. */
export async function until(condition: () => boolean | Promise<boolean>, what = "condition"): Promise<void> {
  for (let attempt = 0; attempt < 400; attempt++) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`waited too long for: ${what}`);
}

/** The events of an SSE body: each event's data, `[DONE]` included. */
export function eventsOf(text: string): string[] {
  return text
    .split("\n\n")
    .filter((event) => event.startsWith("data: "))
    .map((event) => event.slice("data: ".length));
}
