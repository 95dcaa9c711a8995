/** A whole network inside workerd: accounts, a model, scripted daemons, and the calls that users make. */

import { runInDurableObject } from "cloudflare:test";
import { env, exports } from "cloudflare:workers";
import { afterEach } from "vitest";
import type { AccountId } from "../../../core/ids.ts";
import type { ReceiptBody } from "../../../core/receipt/body.ts";
import { putModel } from "../../../db/catalog.ts";
import { enrolDaemon } from "../../../db/daemons.ts";
import { signReceipt } from "../../../durable-objects/shared/receipt-queue.ts";
import { parseApiKey } from "../../../protocol/api-key.ts";
import type { CatalogModel } from "../../../protocol/catalog.ts";
import { SUBPROTOCOL } from "../../../protocol/daemon/messages.ts";
import type { AccountRpc, Credentials } from "../../../protocol/internal/account.ts";
import { relayOf } from "../../../protocol/internal/names.ts";
import { verifyReceipt } from "../../../protocol/receipt.ts";
import { configOf } from "../../../workers/config.ts";
import { testSecrets } from "../../secrets.ts";
import { testModel } from "../../support/models.ts";
import { answering, daemonKey, offerOf, ScriptedDaemon, type ScriptedJob } from "../../support/scripted-daemon.ts";

const ORIGIN = "https://tollmill.test";

export interface TestAccount {
  readonly account: AccountId;
  readonly apiKey: string;
}

let opened = 0;
const daemons: ScriptedDaemon[] = [];

afterEach(() => {
  for (const daemon of daemons.splice(0)) daemon.socket.close(1000, "end of test");
});

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
    onJob?: (job: ScriptedJob) => unknown;
    offer?: Parameters<typeof offerOf>[1];
    watts?: number;
    networks?: string[];
  } = {},
): Promise<ScriptedDaemon> {
  const { number = 1, model = "test-model", onJob = answering(["Hello", " there"]), offer = {} } = options;
  const { watts = 1_000, networks = [] } = options;
  await enrol(owner, number);
  const daemon = await connect(number, onJob);
  await daemon.join({ ...offerOf(model, offer, watts), networks });
  await until(async () => (await isConnected(daemon)) && (await supply(model)).daemons > 0);
  return daemon;
}

/** Enrols a daemon's key for its owner. */
export async function enrol(owner: TestAccount, number: number): Promise<void> {
  await enrolDaemon(env.DB, {
    id: daemonKey(number).id,
    account: owner.account,
    name: `daemon-${number}`,
    payout: "credits",
    tier: "desktop",
    created_at: Date.now(),
  });
}

/** A socket to the relay, before anything was said. */
export async function connect(
  number: number,
  onJob: (job: ScriptedJob) => unknown = () => {},
): Promise<ScriptedDaemon> {
  const key = daemonKey(number);
  const response = await call(`/api/v1/connect?daemon=${key.id}`, {
    headers: { upgrade: "websocket", "sec-websocket-protocol": SUBPROTOCOL },
  });
  const { webSocket } = response;
  if (webSocket === null) throw new Error(`no socket: ${response.status} ${await response.text()}`);
  webSocket.accept();
  const daemon = new ScriptedDaemon(key, webSocket, onJob);
  daemons.push(daemon);
  return daemon;
}

async function isConnected({ key }: ScriptedDaemon): Promise<boolean> {
  const relay = env.RELAY.getByName(relayOf(env.TOLLMILL_REGION, key.id, Number(env.RELAY_SHARDS)));
  return (await relay.connected([key.id])).length > 0;
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

/** The account's object, as other objects call it. */
export function accountOf({ account, apiKey }: TestAccount): { rpc: AccountRpc; credentials: Credentials } {
  const key = parseApiKey(apiKey, configOf(env).edgeKey);
  if (key === null) throw new Error("the network does not know its own key");
  const rpc = env.ACCOUNT.getByName(account) as unknown as AccountRpc;
  return { rpc, credentials: { secretHash: key.secretHash } };
}

/** The account's receipts, oldest first. Each is signed as the network signs it and verified as anyone can. */
export async function receiptsOf(account: TestAccount): Promise<ReceiptBody[]> {
  const { rpc, credentials } = accountOf(account);
  const answer = await rpc.entries(credentials, 0, 1_000);
  if (!answer.ok) throw new Error(JSON.stringify(answer.refusal));
  const bodies = answer.value.filter(({ type }) => type === "spent").map(({ body }) => body);
  for (const body of bodies) {
    const { checks, ok } = verifyReceipt(await signReceipt(env, body));
    if (!ok) throw new Error(`a receipt does not verify: ${JSON.stringify(checks)}`);
  }
  return bodies.map((body) => JSON.parse(body) as ReceiptBody);
}

/** The one receipt of an account that had one job. */
export async function onlyReceipt(account: TestAccount): Promise<ReceiptBody> {
  const [receipt, ...more] = await receiptsOf(account);
  if (receipt === undefined || more.length > 0) throw new Error(`${more.length + (receipt ? 1 : 0)} receipts`);
  return receipt;
}

/** Takes an object's memory, open requests and sockets away at once, as the loss of its machine does. */
export async function crash(stub: DurableObjectStub): Promise<void> {
  await runInDurableObject(stub, (_object, state) => state.abort("lost")).catch(() => {});
}

/** A consumer with 1,200 credits, a provider's account, and the test model. */
export async function openMarket(): Promise<{ consumer: TestAccount; provider: TestAccount }> {
  await addModel();
  return { consumer: await openAccount(), provider: await openAccount() };
}

/** What a consumer starts with, in millicredits. */
export const STARTER = 1_200_000;

/** Waits until something holds; as long as it takes on a busy machine, or as a rule of the network lets it take. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what = "condition",
  withinMs = 4_000,
): Promise<void> {
  for (let attempt = 0; attempt < withinMs / 10; attempt++) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`waited too long for: ${what}`);
}

/** Reads a stream until a text has come. What follows stays to be read. */
export async function readUntil(reader: ReadableStreamDefaultReader<Uint8Array>, text: string): Promise<string> {
  const decoder = new TextDecoder();
  let seen = "";
  while (!seen.includes(text)) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`the stream ended without "${text}": ${seen}`);
    seen += decoder.decode(value, { stream: true });
  }
  return seen;
}

/** The events of an SSE body: each event's data, `[DONE]` included. */
export function eventsOf(text: string): string[] {
  return text
    .split("\n\n")
    .filter((event) => event.startsWith("data: "))
    .map((event) => event.slice("data: ".length));
}
